// The record: a line per event, written at once, so that a process that is killed leaves what it
// did.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace railyard::passthrough {

// Gathers "<ns> <what> device=<name> key=value ..." and adds it to the record when it goes. Costs
// nothing where no record is asked for. Values with blanks stand in quotes.
class Line {
 public:
  Line(const char* device, std::string_view what);
  ~Line();
  Line(const Line&) = delete;

  Line& add(const char* key, int64_t value);
  Line& add(const char* key, std::string_view text);
  // What was asked for and what came of it.
  Line& granted(const char* key, int64_t asked, int64_t got);

 private:
  std::string text_;  // empty: no record
};

}  // namespace railyard::passthrough
