#include "passthrough/record.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "passthrough/rules.h"

namespace railyard::passthrough {

namespace {

// Opened once; -1: there is none.
int record_file() {
  static const int file = [] {
    const char* path = std::getenv(kRecordVariable);
    if (!path || !*path) return -1;
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }();
  return file;
}

}  // namespace

Line::Line(const char* device, std::string_view what) {
  if (record_file() < 0) return;
  text_ = std::to_string(now_ns()) + " " + std::string(what);
  if (device && *device) text_ += std::string(" device=") + device;
}

Line::~Line() {
  if (text_.empty()) return;
  text_ += '\n';
  // One write: lines of several threads do not mix.
  [[maybe_unused]] ssize_t written = write(record_file(), text_.data(), text_.size());
}

Line& Line::add(const char* key, int64_t value) {
  if (!text_.empty()) text_ += std::string(" ") + key + "=" + std::to_string(value);
  return *this;
}

Line& Line::add(const char* key, std::string_view text) {
  if (text_.empty()) return *this;
  bool quote = text.find(' ') != std::string_view::npos;
  text_ +=
      std::string(" ") + key + "=" + (quote ? "\"" : "") + std::string(text) + (quote ? "\"" : "");
  return *this;
}

Line& Line::granted(const char* key, int64_t asked, int64_t got) {
  if (!text_.empty()) {
    text_ += std::string(" ") + key + "=" + std::to_string(asked) + "->" + std::to_string(got);
  }
  return *this;
}

}  // namespace railyard::passthrough
