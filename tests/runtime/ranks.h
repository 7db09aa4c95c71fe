// Starts rank processes for a test and collects what became of them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace railyard::test {

using Variables = std::vector<std::pair<std::string, std::string>>;

// How much longer than else everything takes under a sanitizer, which looks at each access.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSlowness = 4;
#else
inline constexpr int kSlowness = 1;
#endif
constexpr std::chrono::milliseconds unhurried(int ms) {
  return std::chrono::milliseconds(ms) * kSlowness;
}

// Longer than anything takes: a step of a ring of many waits for each of its ranks in turn, and on a
// busy machine each of these for the time slices of others. Within the time that ctest gives.
inline constexpr std::chrono::milliseconds kPatience = unhurried(100'000);

// What a rank left behind.
struct Outcome {
  int exit_code = -1;                         // -1: ended by a signal
  int signal = 0;                             // that signal
  std::string output;                         // all it printed
  std::string code;                           // of its error, empty without one
  std::map<std::string, std::string> fields;  // "peer", "origin", "device", ...
  std::chrono::milliseconds took{0};          // from the start of wait() to its end

  bool ok() const { return exit_code == 0; }
};

class Ranks {
 public:
  Ranks() = default;
  ~Ranks() { forget(); }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  // Ends those that still run; the next one started is rank 0.
  void forget();

  // Starts `program` as the next rank, with these variables over the test's own.
  void start(const std::string& program, const std::vector<std::string>& arguments,
             const Variables& variables);

  // Blocks until this rank has printed a line.
  void wait_for_line(int rank, const std::string& line);
  // Sends a line to the standard input of every rank that was not seen to end.
  void tell_all();
  pid_t pid(int rank) const { return processes_[static_cast<size_t>(rank)].pid; }

  // Waits for all; one that does not end within `most` is killed and has signal SIGKILL.
  std::vector<Outcome> wait(std::chrono::milliseconds most = kPatience);
  // Waits for all but `rank`, which is left as it is: stopped, or waiting for a line.
  std::vector<Outcome> wait_without(int rank);

 private:
  struct Process {
    pid_t pid = 0;
    int input = -1, output = -1;
    std::string printed;
    bool reaped = false;
  };

  std::vector<Outcome> wait_for(int without, std::chrono::milliseconds most);
  Outcome finish(Process& process, std::chrono::steady_clock::time_point begin,
                 std::chrono::milliseconds most);
  static void read_output(Process& process);

  std::vector<Process> processes_;
};

// A file with this text that goes away with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace railyard::test
