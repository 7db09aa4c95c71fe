// What ends ranks and removes files when the harness itself is killed.
#pragma once

#include <sys/types.h>

#include <string>

namespace railyard::harness {

// One small process per harness. It holds the reading end of a pipe; when the harness is gone,
// however it went, the pipe ends: the guard kills the processes it was told of, removes the
// directories, sweeps the fabric's segments and exits. Works on every POSIX system.
//
// Start it before there are threads or fabrics. Not thread-safe.
class Guard {
 public:
  static Guard& start();  // the first call starts it

  // A process that is about to exec announces itself through this descriptor (see announce()), so
  // that no moment is left at which it runs unknown.
  int descriptor() const { return pipe_; }
  // Safe between fork and exec.
  static void announce(int descriptor, pid_t pid);
  void forget(pid_t pid);

  void add_directory(const std::string& path);
  void remove_directory(const std::string& path);

  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Guard();
  void tell(char what, const std::string& whom);

  int pipe_ = -1;
  pid_t pid_ = 0;
};

}  // namespace railyard::harness
