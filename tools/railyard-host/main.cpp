// railyard-host: started on a host by `railyard run --hosts`; speaks harness/hardware/protocol.md.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>

#include "dial.h"
#include "hardware/agent.h"
#include "inspect.h"
#include "platform/executable.h"
#include "probe.h"

int main(int argc, char** argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  std::string self = railyard::harness::executable_directory() + "/railyard-host";
  try {
    if (mode == "--inspect") return railyard::host::inspect();
    if (mode == "--probe") return railyard::host::probe();
    if (mode == "--serve") return railyard::harness::run_agent(STDIN_FILENO, STDOUT_FILENO, self);
    if (mode == "--dial" && argc == 4) {
      int socket = railyard::host::dial(argv[2], argv[3]);
      return railyard::harness::run_agent(socket, socket, self);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
  std::fprintf(stderr, "railyard-host is started by `railyard run --hosts`, not by hand\n");
  return 2;
}
