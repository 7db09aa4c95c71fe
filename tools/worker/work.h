// What a worker is asked to do: the workload of a scenario, read from the file RAILYARD_WORK names.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "railyard/workload.h"

namespace railyard::worker {

// The work, the arguments or the environment make no sense; what() is one line for the user.
class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One operation of the workload. Fields that an operation does not use keep their defaults; what
// they mean is in harness/README.md, by their names.
struct Operation {
  using Kind = harness::OperationId;

  Kind kind = Kind::barrier;
  std::string name;  // as written: "all_sum"
  uint32_t repeat = 1;

  uint64_t count = 1;  // elements
  uint64_t bytes = 1;
  int64_t time_ns = 0;
  std::string dtype = "float32";
  std::string wire;  // empty: as dtype
  bool in_place = false;
  bool rounded = false;  // inputs whose sum has to be rounded, compared with a tolerance
  int from = 0;
  int to = 1;
  int rank = -1;  // who passes the time; -1: every rank

  std::vector<Operation> operations;
  bool random_sizes = false;

  // Of models.
  uint64_t layers = 1;
  uint64_t stages = 1;
  uint64_t width = 1;
  uint64_t hidden = 1;
  uint64_t tokens = 1;
  uint64_t rows = 1;
  uint64_t experts = 1;
  uint64_t top_k = 1;
  uint64_t bits = 16;
  uint64_t batch = 0;  // bytes
};

struct Work {
  std::vector<Operation> operations;
  uint64_t seed = 1;
  std::string variant;
};

// The variant that a work file names, "" where there is none; what is wrong with the file is
// read_work's to say.
std::string variant_of(const std::string& path);

// Reads and checks the work for a group of `ranks` ranks. An empty path is no work at all.
// Throws BadInput naming the place ("workload/2/time: ...").
Work read_work(const std::string& path, int ranks);
Work parse_work(const std::string& json, int ranks);

// "5ms", "2s", "10us", "7ns" in nanoseconds and "64KiB", "1MB", "16B" in bytes; a plain number is
// taken as such. Throws BadInput.
int64_t parse_time(const std::string& text);
uint64_t parse_bytes(const std::string& text);

// A variable of the environment, or the empty string.
std::string environment(const char* name);

}  // namespace railyard::worker
