// Commands on hosts, over one connection a host.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hardware/channel.h"
#include "railyard/process.h"

namespace railyard::harness {

struct CommandResult {
  int exit = -1;  // 255: ssh itself failed
  std::string output, errors;
  // The last line of what it said, without "\r".
  std::string last_words() const;
};

// One host's connection: the first command opens it, later ones go through it. RAILYARD_SSH, if
// set, is the ssh command with its options.
class Ssh {
 public:
  // `directory`: where the connection's socket may lie; short, for its path has a limit.
  Ssh(std::string host, std::string directory);
  ~Ssh();  // closes the connection
  Ssh(const Ssh&) = delete;

  // Runs a command of the remote shell to its end. `input` is a file here, or empty.
  CommandResult run(const std::string& command, const std::string& input = "") const;
  // Starts one that speaks in lines.
  std::unique_ptr<Channel> open(const std::string& command, std::unique_ptr<Process>& process,
                                const std::string& errors) const;

 private:
  Launch launch(const std::string& command) const;
  std::vector<std::string> arguments() const;

  std::string host_, directory_;
};

// For a remote or local POSIX shell.
std::string shell_quoted(const std::string& word);

}  // namespace railyard::harness
