// The files that `railyard run` leaves.
#pragma once

#include <string>
#include <vector>

#include "railyard/report.h"

namespace railyard::cli {

struct Output {
  std::string (*text)(const std::vector<harness::RunReport>&);
  std::string file;  // "-": standard output
};

class Outputs {
 public:
  // `file` may be empty: then nothing is written.
  void add(std::string (*text)(const std::vector<harness::RunReport>&), const std::string& file);

  bool any() const { return !outputs_.empty(); }
  bool to_stdout() const;

  // A file that cannot be written must be known before anything starts. Throws InputError.
  void check() const;

  // Writes all, also when one fails; throws std::runtime_error naming the first that did. A file is
  // whole or, if it could not be written, as it was before.
  void write(const std::vector<harness::RunReport>& reports) const;

 private:
  std::vector<Output> outputs_;
};

}  // namespace railyard::cli
