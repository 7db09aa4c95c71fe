#include "hardware/ssh.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "platform/executable.h"

namespace railyard::harness {

namespace {

constexpr int64_t kLongestCommandNs = 60'000'000'000;

std::string text_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

int open_file(const std::string& path, int flags) {
  int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  return descriptor;
}

// No end of it stays in other children.
void make_pipe(int (&ends)[2]) {
#ifdef __linux__
  bool made = pipe2(ends, O_CLOEXEC) == 0;
#else
  bool made = pipe(ends) == 0;
  for (int end : ends) made = made && fcntl(end, F_SETFD, FD_CLOEXEC) == 0;
#endif
  if (!made) throw std::runtime_error(std::string("no pipe: ") + std::strerror(errno));
}

}  // namespace

std::string shell_quoted(const std::string& word) {
  std::string text = "'";
  for (char letter : word) text += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return text + "'";
}

std::string CommandResult::last_words() const {
  std::istringstream lines(errors.empty() ? output : errors);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) last = line;
  }
  return last;
}

Ssh::Ssh(std::string host, std::string directory)
    : host_(std::move(host)), directory_(std::move(directory)) {}

std::vector<std::string> Ssh::arguments() const {
  return {"-o", "BatchMode=yes",         "-o", "ConnectTimeout=5",
          "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3",
          "-o", "ControlMaster=auto",    "-o", "ControlPath=" + directory_ + "/%C",
          "-o", "ControlPersist=5",      "-o", "LogLevel=ERROR"};
}

Launch Ssh::launch(const std::string& command) const {
  const char* own = std::getenv("RAILYARD_SSH");
  std::istringstream words(own && *own ? own : "ssh");
  std::string program;
  words >> program;
  Launch launch;
  launch.executable = find_program(program);
  if (launch.executable.empty()) {
    throw std::runtime_error("there is no " + program + "; install OpenSSH's client");
  }
  for (std::string word; words >> word;) launch.arguments.push_back(word);
  for (const std::string& word : arguments()) launch.arguments.push_back(word);
  launch.arguments.push_back(host_);
  launch.arguments.push_back(command);
  return launch;
}

CommandResult Ssh::run(const std::string& command, const std::string& input) const {
  std::string base = directory_ + "/" + std::to_string(monotonic_ns());
  Launch how = launch(command);
  how.input = open_file(input.empty() ? "/dev/null" : input, O_RDONLY);
  // Files, not pipes: the connection that the first command opens keeps them.
  how.output = open_file(base + ".out", O_WRONLY | O_CREAT | O_APPEND);
  how.error = open_file(base + ".err", O_WRONLY | O_CREAT | O_APPEND);
  Process process(how);
  for (int descriptor : {how.input, how.output, how.error}) close(descriptor);
  int64_t deadline = monotonic_ns() + kLongestCommandNs;
  while (!process.ending() && monotonic_ns() < deadline) usleep(2000);
  CommandResult result;
  if (auto ending = process.ending()) result.exit = ending->exit.value_or(255);
  result.output = text_of(base + ".out");
  result.errors = text_of(base + ".err");
  unlink((base + ".out").c_str());
  unlink((base + ".err").c_str());
  return result;
}

std::unique_ptr<Channel> Ssh::open(const std::string& command, std::unique_ptr<Process>& process,
                                   const std::string& errors) const {
  int to[2], from[2];
  make_pipe(to);
  make_pipe(from);
  Launch how = launch(command);
  how.input = to[0];
  how.output = from[1];
  how.error = open_file(errors, O_WRONLY | O_CREAT | O_APPEND);
  process = std::make_unique<Process>(how);
  for (int descriptor : {how.input, how.output, how.error}) close(descriptor);
  return std::make_unique<Channel>(from[0], to[1]);
}

Ssh::~Ssh() {
  try {
    Launch how = launch("");
    how.arguments.pop_back();
    how.arguments.insert(how.arguments.end() - 1, {"-O", "exit"});
    how.input = how.output = how.error = open_file("/dev/null", O_RDWR);
    Process process(how);
    close(how.input);
    int64_t deadline = monotonic_ns() + 2'000'000'000;
    while (!process.ending() && monotonic_ns() < deadline) usleep(2000);
  } catch (const std::exception&) {
    // The connection goes with its time-out.
  }
}

}  // namespace railyard::harness
