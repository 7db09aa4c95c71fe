// Bad input from the user.
#pragma once

#include <stdexcept>
#include <string>

namespace railyard::harness {

// One line, "file: place: what; mend". Programs print it and exit with 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  InputError(const std::string& file, const std::string& place, const std::string& what)
      : std::runtime_error(file + ": " + (place.empty() ? "" : place + ": ") + what) {}
};

}  // namespace railyard::harness
