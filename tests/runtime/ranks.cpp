#include "ranks.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace railyard::test {

namespace {

constexpr std::chrono::milliseconds kGlance{2};

// Reads "error CODE key=value ... MESSAGE".
void parse_error(Outcome& outcome) {
  size_t at = outcome.output.find("error ");
  if (at == std::string::npos) return;
  std::istringstream words(outcome.output.substr(at));
  std::string word;
  words >> word >> outcome.code;
  while (words >> word && word.find('=') != std::string::npos) {
    size_t equals = word.find('=');
    outcome.fields[word.substr(0, equals)] = word.substr(equals + 1);
  }
}

}  // namespace

void Ranks::forget() {
  for (Process& process : processes_) {
    if (!process.reaped) {
      kill(process.pid, SIGKILL);
      waitpid(process.pid, nullptr, 0);
    }
    close(process.input);
    close(process.output);
  }
  processes_.clear();
}

void Ranks::start(const std::string& program, const std::vector<std::string>& arguments,
                  const Variables& variables) {
  int input[2], output[2];
  if (pipe(input) != 0 || pipe(output) != 0) throw std::runtime_error("no pipe");
  for (int end : {input[1], output[0]}) fcntl(end, F_SETFD, FD_CLOEXEC);
  std::vector<char*> words;
  words.push_back(const_cast<char*>(program.c_str()));
  for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    close(input[0]);
    close(output[1]);
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    execv(program.c_str(), words.data());
    _exit(127);
  }
  close(input[0]);
  close(output[1]);
  if (pid < 0) throw std::runtime_error("no process");
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  processes_.push_back({pid, input[1], output[0], {}, false});
}

void Ranks::read_output(Process& process) {
  char buffer[4096];
  for (ssize_t got; (got = read(process.output, buffer, sizeof(buffer))) > 0;) {
    process.printed.append(buffer, static_cast<size_t>(got));
  }
}

void Ranks::wait_for_line(int rank, const std::string& line) {
  Process& process = processes_[static_cast<size_t>(rank)];
  auto end = std::chrono::steady_clock::now() + kPatience;
  while (process.printed.find(line + "\n") == std::string::npos) {
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("rank " + std::to_string(rank) + " never printed '" + line +
                               "' but: " + process.printed);
    }
    std::this_thread::sleep_for(kGlance);
    read_output(process);
  }
}

void Ranks::tell_all() {
  for (Process& process : processes_) {
    if (!process.reaped && write(process.input, "\n", 1) != 1)
      throw std::runtime_error("a rank is gone");
  }
}

std::vector<Outcome> Ranks::wait(std::chrono::milliseconds most) { return wait_for(-1, most); }

std::vector<Outcome> Ranks::wait_without(int rank) { return wait_for(rank, kPatience); }

std::vector<Outcome> Ranks::wait_for(int without, std::chrono::milliseconds most) {
  auto begin = std::chrono::steady_clock::now();
  std::vector<Outcome> outcomes;
  // By turns, so that each one's time is its own.
  outcomes.resize(processes_.size());
  for (bool running = true; running;) {
    running = false;
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (processes_[i].reaped || static_cast<int>(i) == without) continue;
      outcomes[i] = finish(processes_[i], begin, most);
      running = running || !processes_[i].reaped;
    }
    if (running) std::this_thread::sleep_for(kGlance);
  }
  return outcomes;
}

Outcome Ranks::finish(Process& process, std::chrono::steady_clock::time_point begin,
                      std::chrono::milliseconds most) {
  read_output(process);
  auto now = std::chrono::steady_clock::now();
  if (now - begin > most) kill(process.pid, SIGKILL);
  int status = 0;
  if (waitpid(process.pid, &status, now - begin > most ? 0 : WNOHANG) != process.pid) return {};
  process.reaped = true;
  read_output(process);
  Outcome outcome;
  outcome.took = std::chrono::duration_cast<std::chrono::milliseconds>(now - begin);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.output = process.printed;
  parse_error(outcome);
  return outcome;
}

TemporaryFile::TemporaryFile(const std::string& text) {
  char path[] = "/tmp/railyard-test-XXXXXX";
  int file = mkstemp(path);
  if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("no temporary file");
  }
  close(file);
  path_ = path;
}

TemporaryFile::~TemporaryFile() { unlink(path_.c_str()); }

}  // namespace railyard::test
