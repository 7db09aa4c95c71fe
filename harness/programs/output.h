// The outputs of several ranks in one terminal, a line at a time.
#pragma once

#include <string>
#include <vector>

namespace railyard::harness {

class OutputMixer {
 public:
  OutputMixer() = default;
  ~OutputMixer();
  OutputMixer(const OutputMixer&) = delete;
  OutputMixer& operator=(const OutputMixer&) = delete;

  // The writing end of a new pipe whose lines go to `target` (a descriptor) behind `prefix`. The
  // caller closes it once the child has it.
  int add(const std::string& prefix, int target);

  // Passes on what has come; waits up to `milliseconds` for it. False once every pipe has ended.
  bool pass(int milliseconds);

 private:
  struct Stream {
    int pipe = -1;
    int target = -1;
    std::string prefix, pending;
  };
  void take(Stream& stream);
  void write_lines(Stream& stream, bool all);

  std::vector<Stream> streams_;
};

}  // namespace railyard::harness
