// A port for the ranks to meet at.
#pragma once

#include <string>

namespace railyard::harness {

// A TCP port of one of this machine's addresses that nobody uses. While the object lives, the
// system gives it to nobody who does not ask for it by number.
class ReservedPort {
 public:
  // `hold`: keep it bound. Whoever then listens on it must set SO_REUSEADDR; a program that may not
  // do so gets it released, and the small risk that another takes it first.
  // `number`: that very port; 0: any. Throws std::system_error when it is not to be had.
  explicit ReservedPort(bool hold, const std::string& address = "127.0.0.1", int number = 0);
  ~ReservedPort();
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;
  int number() const { return number_; }

 private:
  int socket_ = -1;
  int number_ = 0;
};

}  // namespace railyard::harness
