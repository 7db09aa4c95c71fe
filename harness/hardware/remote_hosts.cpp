#include "hardware/remote_hosts.h"

namespace railyard::harness {

RemoteHosts::~RemoteHosts() {
  for (Entry& entry : hosts_) {
    entry.link.reset();  // the agent sees the end of its line, and ends all that it started
    if (!entry.copied || !entry.ssh) continue;
    try {
      entry.ssh->run("rm -rf " + shell_quoted(entry.directory));
    } catch (const std::exception&) {
      // The copy stays in that user's cache.
    }
  }
}

}  // namespace railyard::harness
