#include "railyard/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "platform/process_state.h"
#include "railyard/fabric.h"

namespace railyard::harness {

namespace {

constexpr int kMostDescriptors = 4096;
constexpr int kMostWaits = 1000;  // of a millisecond: plenty for dying

// A line per message: P pid, p pid (gone), D directory, d directory (removed).
struct Charge {
  std::set<pid_t> processes;
  std::set<std::string> directories;

  void hear(const std::string& line) {
    if (line.size() < 3) return;
    std::string whom = line.substr(2);
    switch (line[0]) {
      case 'P':
        processes.insert(std::atoi(whom.c_str()));
        break;
      case 'p':
        processes.erase(std::atoi(whom.c_str()));
        break;
      case 'D':
        directories.insert(whom);
        break;
      case 'd':
        directories.erase(whom);
        break;
    }
  }

  void clear_up() const {
    if (processes.empty() && directories.empty()) return;
    for (pid_t pid : processes) {
      if (kill(-pid, SIGKILL) != 0) kill(pid, SIGKILL);
    }
    // Nobody may write into a directory that is being removed.
    int waits = 0;
    for (pid_t pid : processes) {
      while (waits < kMostWaits && process_state(pid).kind != ProcessState::Kind::gone) {
        usleep(1000);
        ++waits;
      }
    }
    for (const std::string& directory : directories) {
      std::error_code error;
      std::filesystem::remove_all(directory, error);
    }
    try {
      fabric::sweep();
    } catch (const std::exception&) {
      // Nobody is left to be told.
    }
  }
};

[[noreturn]] void watch(int pipe) {
  setsid();
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) signal(number, SIG_IGN);
  // Holding the harness's descriptors would keep its readers and its locks waiting.
  int null = open("/dev/null", O_RDWR);
  for (int i = 0; i < 3; ++i) dup2(null, i);
  for (int i = 3; i < kMostDescriptors; ++i) {
    if (i != pipe) close(i);
  }
  Charge charge;
  std::string pending;
  char buffer[4096];
  for (;;) {
    ssize_t size = read(pipe, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    pending.append(buffer, static_cast<size_t>(size));
    for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      charge.hear(pending.substr(0, end));
    }
  }
  charge.clear_up();
  _exit(0);
}

}  // namespace

Guard& Guard::start() {
  static Guard guard;
  return guard;
}

Guard::Guard() {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("cannot make the guard's pipe");
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  std::fflush(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot start the guard");
  if (pid_ == 0) {
    close(ends[1]);
    watch(ends[0]);
  }
  close(ends[0]);
  pipe_ = ends[1];
}

Guard::~Guard() {
  close(pipe_);
  int status;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

void Guard::announce(int descriptor, pid_t pid) {
  char line[32];
  char* end = line + sizeof line;
  char* at = end;
  *--at = '\n';
  for (pid_t rest = pid; rest > 0; rest /= 10) *--at = static_cast<char>('0' + rest % 10);
  *--at = ' ';
  *--at = 'P';
  while (write(descriptor, at, static_cast<size_t>(end - at)) < 0 && errno == EINTR) {
  }
}

void Guard::tell(char what, const std::string& whom) {
  std::string line = std::string(1, what) + " " + whom + "\n";
  while (write(pipe_, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

void Guard::forget(pid_t pid) { tell('p', std::to_string(pid)); }
void Guard::add_directory(const std::string& path) { tell('D', path); }
void Guard::remove_directory(const std::string& path) { tell('d', path); }

}  // namespace railyard::harness
