// A child process in a process group of its own.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace railyard::harness {

struct Launch {
  std::string executable;  // a path
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // over the harness's own
  std::vector<std::string> unset;                                // after that
  int input = -1;  // descriptors, -1: the harness's own
  int output = -1;
  int error = -1;
  bool own_group = true;
};

struct Ending {
  std::optional<int> exit;
  std::optional<int> signal;
};

class Process {
 public:
  // Starts it, under the Guard's eye. Throws std::runtime_error naming the executable and the
  // reason.
  explicit Process(const Launch& launch);
  ~Process();  // kills what still runs
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;

  pid_t pid() const;
  // How it ended, once it has; does not block.
  std::optional<Ending> ending();
  // To its whole group.
  void signal(int number) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace railyard::harness
