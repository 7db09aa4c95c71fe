// The files that `railyard run` and `railyard report` leave.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "railyard/report.h"

namespace railyard::cli {

using Reports = std::vector<harness::RunReport>;

struct Output {
  std::function<std::string(const Reports&, const harness::Suite&)> text;
  std::string file;  // "-": standard output
};

class Outputs {
 public:
  // `file` may be empty: then nothing is written.
  void add(std::string (*text)(const Reports&, const harness::Suite&), const std::string& file);
  void add(std::string (*text)(const Reports&), const std::string& file);

  bool any() const { return !outputs_.empty(); }
  bool to_stdout() const;

  // A file that cannot be written must be known before anything starts. Throws InputError.
  void check() const;

  // One file, or "-"; throws std::runtime_error. A file is whole or as it was before.
  static void write_text(const std::string& file, const std::string& text);

  // Writes all, also when one fails; throws std::runtime_error naming the first that did. A file is
  // whole or, if it could not be written, as it was before.
  void write(const Reports& reports, const harness::Suite& suite) const;

 private:
  std::vector<Output> outputs_;
};

}  // namespace railyard::cli
