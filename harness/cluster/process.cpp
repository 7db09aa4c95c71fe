// The one file that knows Boost.Process.
#include "railyard/process.h"

// Boost 1.81 forgets these when it is told to use the standard's filesystem.
#include <boost/optional.hpp>
#include <boost/type_traits.hpp>
#include <type_traits>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/process/v2/process.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <stdexcept>

#include "railyard/guard.h"

extern char** environ;

namespace railyard::harness {

namespace bp = boost::process::v2;

namespace {

// A context of each thread's own: a fork takes the locks of its context into the child as they are.
boost::asio::io_context& context() {
  thread_local boost::asio::io_context instance;
  return instance;
}

// One start at a time: a child must not inherit the pipe on which another's start is reported.
std::mutex g_starting;

// Boost.Process asks an initialiser before the fork and between fork and exec.
struct Setup {
  const Launch& launch;
  std::vector<std::string> variables;
  std::vector<const char*> environment;

  explicit Setup(const Launch& how) : launch(how) {
    std::map<std::string, std::string> merged;
    for (char** entry = environ; *entry; ++entry) {
      std::string text = *entry;
      size_t equals = text.find('=');
      if (equals != std::string::npos) merged[text.substr(0, equals)] = text.substr(equals + 1);
    }
    for (const auto& [name, value] : how.environment) merged[name] = value;
    for (const std::string& name : how.unset) merged.erase(name);
    for (const auto& [name, value] : merged) variables.push_back(name + "=" + value);
    for (const std::string& variable : variables) environment.push_back(variable.c_str());
    environment.push_back(nullptr);
  }

  template <typename Launcher, typename Path>
  boost::system::error_code on_setup(Launcher& launcher, const Path&, const char* const*&) {
    launcher.env = environment.data();
    return {};
  }

  template <typename Launcher, typename Path>
  boost::system::error_code on_exec_setup(Launcher&, const Path&, const char* const*&) {
    if (launch.own_group) setpgid(0, 0);
    Guard::announce(Guard::start().descriptor(), getpid());
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) ::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (launch.input >= 0) dup2(launch.input, STDIN_FILENO);
    if (launch.output >= 0) dup2(launch.output, STDOUT_FILENO);
    if (launch.error >= 0) dup2(launch.error, STDERR_FILENO);
    return {};
  }
};

}  // namespace

struct Process::Impl {
  bp::process process{context()};
  pid_t pid = 0;
  bool own_group = true;
  std::optional<Ending> ending;
};

Process::Process(const Launch& launch) : impl_(std::make_unique<Impl>()) {
  Guard::start();
  std::fflush(nullptr);  // a failed exec flushes the child's copy
  try {
    std::lock_guard lock(g_starting);
    impl_->process = bp::process(context(), launch.executable, launch.arguments, Setup(launch));
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("cannot start {}: {}", launch.executable, error.what()));
  }
  impl_->pid = impl_->process.id();
  impl_->own_group = launch.own_group;
}

Process::~Process() {
  if (!impl_ || impl_->ending) return;
  signal(SIGKILL);
  boost::system::error_code error;
  impl_->process.terminate(error);
  impl_->process.detach();
  Guard::start().forget(impl_->pid);
}

Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;

pid_t Process::pid() const { return impl_->pid; }

std::optional<Ending> Process::ending() {
  if (impl_->ending) return impl_->ending;
  boost::system::error_code error;
  if (impl_->process.running(error)) return std::nullopt;
  int status = impl_->process.native_exit_code();
  Ending ending;
  if (WIFSIGNALED(status)) {
    ending.signal = WTERMSIG(status);
  } else {
    ending.exit = WEXITSTATUS(status);
  }
  // What it started itself goes with it.
  if (impl_->own_group) kill(-impl_->pid, SIGKILL);
  Guard::start().forget(impl_->pid);
  impl_->process.detach();
  impl_->ending = ending;
  return ending;
}

void Process::signal(int number) const {
  if (impl_->ending) return;
  if (!impl_->own_group || kill(-impl_->pid, number) != 0) kill(impl_->pid, number);
}

}  // namespace railyard::harness
