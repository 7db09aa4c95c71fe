// Running a scenario on a simulated cluster.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "railyard/scenario.h"

namespace railyard::harness {

class Hosts;
struct RunRecord;

struct RankError {
  std::string code, operation, device;
  int peer = -1, rail = -1;
  int error_number = 0;
  std::string status, message;
};

struct OperationResult {
  std::string op;
  uint64_t iterations = 0;
  std::string digest;
  std::string mismatch;  // the first wrong element, in words; empty: none
};

// What is known of a process that a signal ended by itself.
struct CrashReport {
  std::string signal;               // "SIGSEGV"
  std::string verb;                 // the last it called, posts and polls aside; "": none
  std::vector<std::string> events;  // its last in the fabric, oldest first
  std::string core;                 // the path of its memory image, "": none was found
};

struct RankReport {
  int rank = -1;
  pid_t pid = 0;
  std::optional<int> exit, signal;  // how the process ended
  bool ended_by_harness = false;    // it was killed because the run was over
  bool ended_by_fault = false;
  bool has_result = false;  // it left a result file
  bool ok = false;          // it did all it was asked to
  std::string backend, backend_reason;
  int group_size = 0;  // as it says; 0: it does not
  std::vector<OperationResult> operations;
  std::optional<RankError> error;
  std::optional<CrashReport> crash;
  std::string waited_for;   // at the verdict, in words
  std::string output_tail;  // last lines of its output, stdout and stderr as they came
};

struct FaultReport {
  std::string name, when;
  bool fired = false, changed = false;
  int64_t at_ns = 0;
  std::string evidence;
  std::string failure;  // why this is not as expected; empty: it is
};

// What a device of a host did, of what its profile says.
struct ConformanceEntry {
  std::string host, device, rule;
  std::string says, source;  // the profile's
  std::string did;
  bool agrees = true;
};

// Why a run ended as it did.
struct Diagnosis {
  std::string verdict;
  std::string headline;              // one line
  std::vector<std::string> details;  // one line each
  std::vector<std::string> names;    // cables, ports, devices, ranks it names
};

// Times are nanoseconds since the fabric was made.
struct RunReport {
  std::string file, name, summary;
  uint64_t seed = 1;
  Diagnosis diagnosis;
  bool passed = false;
  bool interrupted = false;
  bool broken = false;  // the harness itself failed; the failures say how
  std::string skipped;  // why it was not run at all; then it has neither passed nor failed
  bool on_hosts = false;
  std::vector<ConformanceEntry> conformance;  // of the devices of hosts
  std::vector<std::string> unchecked;         // expectations that hosts do not show, one line each
  std::string expected_verdict;
  int64_t began_unix_ns = 0;          // when the first rank was started, since 1970
  std::vector<std::string> failures;  // expectations that were not met, one line each
  std::vector<RankReport> ranks;
  std::vector<FaultReport> faults;
  bool was_stuck = false;
  int64_t started_ns = 0;        // the first rank was started
  int64_t last_progress_ns = 0;  // before it was found stuck
  int64_t verdict_ns = 0;
  int64_t ended_ns = 0;
  int64_t waited_ns = 0;         // for somebody's hands, within the run
  int64_t total_ns = 0;  // from the first step of the run to its last, the cleaning up included
  std::vector<std::string> trace_tail;
  std::string kept_directory;               // --keep
  std::shared_ptr<const RunRecord> record;  // nullptr unless it was asked for
};

struct RunOptions {
  bool keep = false;                            // leave the temporary directory
  size_t record_messages = 0;                   // so many at most in the record; 0: no record
  const std::atomic<int>* interrupt = nullptr;  // a signal's number once the user wants to stop
  Hosts* hosts = nullptr;                       // where ranks run; nullptr: on a simulated cluster
};

// Whether the programs that a scenario needs are there. Throws as run_scenario does.
void check_runnable(const Scenario& scenario);

// Starts the cluster, watches it and returns what happened; blocks until every rank has ended.
// Throws InputError, or std::runtime_error when the harness itself fails (no worker, no memory).
RunReport run_scenario(const Scenario& scenario, const RunOptions& options);

}  // namespace railyard::harness
