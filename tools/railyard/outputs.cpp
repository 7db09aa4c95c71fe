#include "outputs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "railyard/input_error.h"

namespace railyard::cli {

namespace {

// Beside the file, so that renaming it is one step.
std::string draft_of(const std::string& file) { return fmt::format("{}.{}", file, getpid()); }

// Whether it is something else than a plain file: /dev/null, a pipe.
bool special(const std::string& file) { return file.rfind("/dev/", 0) == 0; }

void write_file(const std::string& file, const std::string& text) {
  std::string draft = special(file) ? file : draft_of(file);
  FILE* stream = std::fopen(draft.c_str(), "wb");
  int error = stream ? 0 : errno;
  if (stream && std::fwrite(text.data(), 1, text.size(), stream) != text.size()) error = errno;
  if (stream && std::fclose(stream) != 0 && error == 0) error = errno;
  if (error == 0 && draft != file && std::rename(draft.c_str(), file.c_str()) != 0) error = errno;
  if (error == 0) return;
  if (draft != file) std::remove(draft.c_str());
  throw std::runtime_error(fmt::format("cannot write {}: {}", file, std::strerror(error)));
}

}  // namespace

void Outputs::add(std::string (*text)(const Reports&, const harness::Suite&),
                  const std::string& file) {
  if (!file.empty()) outputs_.push_back({text, file});
}

void Outputs::add(std::string (*text)(const Reports&), const std::string& file) {
  if (file.empty()) return;
  outputs_.push_back({[text](const Reports& reports, const auto&) { return text(reports); }, file});
}

bool Outputs::to_stdout() const {
  return std::any_of(outputs_.begin(), outputs_.end(),
                     [](const Output& output) { return output.file == "-"; });
}

void Outputs::check() const {
  int to_terminal = 0;
  for (const Output& output : outputs_) {
    if (output.file == "-") {
      if (++to_terminal > 1) {
        throw harness::InputError("-", "", "only one report can go to standard output");
      }
      continue;
    }
    if (special(output.file)) continue;
    std::string draft = draft_of(output.file);
    FILE* stream = std::fopen(draft.c_str(), "wb");
    if (!stream) {
      throw harness::InputError(
          output.file, "",
          fmt::format("cannot be written: {}; check the directory", std::strerror(errno)));
    }
    std::fclose(stream);
    std::remove(draft.c_str());
  }
}

void Outputs::write_text(const std::string& file, const std::string& text) {
  if (file != "-") return write_file(file, text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Outputs::write(const Reports& reports, const harness::Suite& suite) const {
  std::string failure;
  for (const Output& output : outputs_) {
    try {
      write_text(output.file, output.text(reports, suite));
    } catch (const std::runtime_error& error) {
      if (failure.empty()) failure = error.what();
    }
  }
  if (!failure.empty()) throw std::runtime_error(failure);
}

}  // namespace railyard::cli
