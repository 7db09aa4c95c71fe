// Is this machine fit to run scenarios?
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cluster/workplace.h"
#include "platform/executable.h"
#include "railyard/exec.h"
#include "railyard/fabric.h"
#include "railyard/guard.h"
#include "railyard/process.h"
#include "railyard/scenario.h"

namespace railyard::harness {

namespace {

class Findings {
 public:
  explicit Findings(std::string& text) : text_(text) {}
  bool well() const { return well_; }

  void good(const std::string& what, const std::string& finding) { add("ok ", what, finding); }
  void bad(const std::string& what, const std::string& finding) {
    well_ = false;
    add("BAD", what, finding);
  }
  void note(const std::string& what, const std::string& finding) { add(" - ", what, finding); }

 private:
  void add(const char* mark, const std::string& what, const std::string& finding) {
    text_ += fmt::format("{} {:<16} {}\n", mark, what, finding);
  }
  std::string& text_;
  bool well_ = true;
};

int run_and_wait(Launch launch) {
  Process process(launch);
  for (;;) {
    if (std::optional<Ending> ending = process.ending()) {
      return ending->exit.value_or(128 + ending->signal.value_or(0));
    }
    usleep(1000);
  }
}

void check_fabric(Findings& findings) {
  try {
    auto fabric = fabric::Fabric::create(fabric::default_cluster("permissive", 2));
    findings.good("shared memory",
                  fmt::format("a cluster of two nodes stands in {}", fabric.name()));
  } catch (const std::exception& error) {
    findings.bad("shared memory", error.what());
  }
}

void check_library(Findings& findings) {
  std::string directory = library_directory();
  if (directory.empty()) {
    findings.bad("verbs library",
                 "not found in ../lib beside this program; build railyard-ibverbs");
    return;
  }
  findings.good("verbs library", directory);
  const char* before = std::getenv(loader_variable());
  findings.note("loader path",
                fmt::format("{} is set for ranks{}", loader_variable(),
                            before && *before ? fmt::format(", before {}", before) : ""));
}

void check_workers(Findings& findings) {
  for (const char* name : {"railyard-rank", "railyard-faulty"}) {
    std::string path = find_worker(name);
    if (path.empty()) {
      findings.bad("worker", fmt::format("{} is not beside this program; build it", name));
    } else {
      findings.good("worker", path);
    }
  }
}

void check_processes(Findings& findings) {
  try {
    Launch launch;
    launch.executable = find_program("true");
    if (run_and_wait(launch) == 0) {
      findings.good("processes", "a process was started, awaited and guarded");
    } else {
      findings.bad("processes", "`true` failed");
    }
  } catch (const std::exception& error) {
    findings.bad("processes", error.what());
  }
#ifdef RAILYARD_LINUX
  // Copies between processes: the ranks are siblings, which Yama's levels 1 and up keep apart.
  FILE* file = std::fopen("/proc/sys/kernel/yama/ptrace_scope", "r");
  int scope = 0;
  if (file) {
    if (std::fscanf(file, "%d", &scope) != 1) scope = 0;
    std::fclose(file);
  }
  if (scope == 0) {
    findings.good("direct copies", "ranks may copy from each other (process_vm_readv)");
  } else {
    findings.note("direct copies",
                  fmt::format("kernel.yama.ptrace_scope is {}: large messages may go "
                              "through shared memory instead",
                              scope));
  }
#endif
}

}  // namespace

bool doctor(std::string& text) {
  Findings findings(text);
  Guard::start();
  int segments = 0;
  try {
    segments = fabric::sweep();
  } catch (const std::exception& error) {
    findings.bad("left-overs", error.what());
  }
  int directories = Workplace::sweep();
  findings.note("left-overs", fmt::format("{} segments and {} directories of killed runs removed",
                                          segments, directories));
  check_fabric(findings);
  check_library(findings);
  check_workers(findings);
  check_processes(findings);
  return findings.well();
}

}  // namespace railyard::harness
