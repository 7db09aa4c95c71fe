// The outputs of several ranks in one terminal, a line at a time.
#pragma once

#include <functional>
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
  // The same for a function, which gets each line without its end.
  using Listener = std::function<void(const std::string& line)>;
  int add(Listener listener);

  // Passes on what has come; waits up to `milliseconds` for it. False once every pipe has ended.
  bool pass(int milliseconds);

 private:
  struct Stream {
    int pipe = -1;
    Listener listener;
    std::string pending;
  };
  void take(Stream& stream);
  void write_lines(Stream& stream, bool all);

  std::vector<Stream> streams_;
};

}  // namespace railyard::harness
