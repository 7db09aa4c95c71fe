#include "config/json_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "railyard/error.h"

namespace railyard::config {

void JsonSource::fail(const std::string& place, const std::string& problem) const {
  throw ConfigurationError(file, place, problem);
}

namespace {

std::string read_file(const std::string& path) {
  if (path.empty()) throw ConfigurationError("", "", "the name of a file is empty; give a path");
  if (std::filesystem::is_directory(path)) {
    throw ConfigurationError(path, "", "is a directory; name the JSON file in it");
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw ConfigurationError(
        path, "", fmt::format("cannot be read: {}; check the path", std::strerror(errno)));
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string line_and_column(const std::string& text, size_t byte) {
  size_t end = std::min(byte > 0 ? byte - 1 : 0, text.size());
  auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
  size_t newline = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
  size_t column = newline == std::string::npos ? end + 1 : end - newline;
  return fmt::format("line {}, column {}", line, column);
}

bool looks_like_json(const std::string& text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && (text[first] == '[' || text[first] == '{');
}

}  // namespace

JsonSource read_json(const std::string& path_or_text, const std::string& kind) {
  bool inline_text = looks_like_json(path_or_text);
  std::string file = inline_text ? kind : path_or_text;
  std::string text = inline_text ? path_or_text : read_file(path_or_text);
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw ConfigurationError(file, "", fmt::format("is empty; write a {} into it", kind));
  }
  try {
    return {file, nlohmann::json::parse(text)};
  } catch (const nlohmann::json::parse_error& error) {
    throw ConfigurationError(
        file, line_and_column(text, error.byte),
        "is not JSON from here on; look for a missing bracket, quote or comma");
  } catch (const nlohmann::json::out_of_range&) {
    throw ConfigurationError(file, "",
                             "has a number that is larger than any may be; write a smaller one");
  }
}

std::string type_with_article(const nlohmann::json& value) {
  std::string type = value.type_name();
  if (value.is_null()) return type;
  return (type == "array" || type == "object" ? "an " : "a ") + type;
}

}  // namespace railyard::config
