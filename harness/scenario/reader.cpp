#include "scenario/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

#include "railyard/nearest.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

std::string line_and_column(const std::string& text, size_t byte) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i + 1 < byte && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format("{}:{}", line, column);
}

// nlohmann's "[json.exception...] parse error at line 1, column 2: syntax error while ...": its
// end.
std::string reason(const std::string& what) {
  size_t at = what.rfind("; expected ");
  if (at != std::string::npos) return "expected " + what.substr(at + 11);
  at = what.find("last read: ");
  if (at != std::string::npos) return "cannot go on after " + what.substr(at + 11);
  return "the text ends or breaks here";
}

}  // namespace

std::string read_file(const std::string& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    throw InputError(file, "", "is a directory; name a file");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    if (errno == ENOENT) throw InputError(file, "", "there is no such file; check the path");
    throw InputError(file, "", fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

Json parse_json(const std::string& file, const std::string& text) {
  std::vector<std::set<std::string>> seen;
  std::string twice;
  auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) seen.emplace_back();
    if (event == Json::parse_event_t::object_end) seen.pop_back();
    if (event == Json::parse_event_t::key &&
        !seen.back().insert(parsed.get<std::string>()).second && twice.empty()) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  Json value;
  try {
    value = Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    throw InputError(fmt::format("{}:{}", file, line_and_column(text, error.byte)), "",
                     fmt::format("not JSON: {}", reason(error.what())));
  } catch (const Json::out_of_range& error) {
    std::string what = error.what();  // "[json...] number overflow parsing '1e999'"
    throw InputError(file, "",
                     fmt::format("{} is larger than any number may be; write a smaller one",
                                 what.substr(what.find('\''))));
  }
  if (!twice.empty()) {
    throw InputError(file, "",
                     fmt::format("the key '{}' is given twice in one object; keep one", twice));
  }
  return value;
}

void Reader::fail(const std::string& what) const { throw InputError(*file_, place_, what); }

void Reader::fail_type(const char* wanted) const {
  std::string shown = value_->dump();
  if (shown.size() > 40) shown = shown.substr(0, 37) + "...";
  fail(fmt::format("{} stands where {} is expected", shown, wanted));
}

const Reader& Reader::object(const std::vector<std::string>& keys) const {
  if (!value_->is_object()) fail_type("an object");
  for (const auto& [key, value] : value_->items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    fail(fmt::format("unknown key '{}'; {}", key, suggest(key, keys)));
  }
  return *this;
}

Reader Reader::at(const std::string& key) const {
  if (!has(key)) fail(fmt::format("the key '{}' is missing; add it", key));
  return {*file_, place_.empty() ? key : place_ + "/" + key, (*value_)[key]};
}

std::vector<Reader> Reader::elements() const {
  if (!value_->is_array()) fail_type("an array");
  std::vector<Reader> elements;
  for (size_t i = 0; i < value_->size(); ++i) {
    elements.push_back({*file_,
                        place_.empty() ? std::to_string(i) : fmt::format("{}/{}", place_, i),
                        (*value_)[i]});
  }
  return elements;
}

std::vector<std::pair<std::string, Reader>> Reader::members() const {
  if (!value_->is_object()) fail_type("an object");
  std::vector<std::pair<std::string, Reader>> members;
  for (const auto& item : value_->items()) members.emplace_back(item.key(), at(item.key()));
  return members;
}

std::string Reader::text() const {
  if (!value_->is_string()) fail_type("a text");
  return value_->get<std::string>();
}

bool Reader::flag() const {
  if (!value_->is_boolean()) fail("this is true or false");
  return value_->get<bool>();
}

std::string Reader::one_of(const std::vector<std::string>& choices) const {
  std::string word = text();
  if (std::find(choices.begin(), choices.end(), word) == choices.end()) {
    fail(fmt::format("'{}' is not known; {}", word, suggest(word, choices)));
  }
  return word;
}

uint64_t Reader::whole(uint64_t least, uint64_t most) const {
  if (!value_->is_number_integer()) fail_type("a whole number");
  bool negative = !value_->is_number_unsigned() && value_->get<int64_t>() < 0;
  uint64_t number = negative ? 0 : value_->get<uint64_t>();
  if (negative || number < least || number > most) {
    fail(fmt::format("{} is out of range; it must be from {} to {}", value_->dump(), least, most));
  }
  return number;
}

std::chrono::nanoseconds Reader::duration() const {
  if (value_->is_number()) {
    fail(fmt::format("{} has no unit; write it as \"{}ms\" (ns, us, ms, s, min)", value_->dump(),
                     value_->dump()));
  }
  try {
    return parse_duration(text());
  } catch (const UnitError& error) {
    fail(error.what());
  }
}

std::vector<std::string> Reader::texts() const {
  std::vector<std::string> texts;
  for (const Reader& element : elements()) texts.push_back(element.text());
  return texts;
}

}  // namespace railyard::harness
