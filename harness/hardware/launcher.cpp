// A cluster's own launcher, mpirun or srun, starts the agents; they call back over TCP.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>

#include "cluster/ip_address.h"
#include "hardware/remote_hosts.h"
#include "platform/executable.h"

namespace railyard::harness {

namespace {

constexpr int kPatienceMs = 30'000;  // until every agent has called
constexpr int kWordMs = 2'000;       // until one that has connected says who it is

struct Listener {
  int socket = -1;
  int port = 0;
  ~Listener() {
    if (socket >= 0) close(socket);
  }
};

void listen_at(Listener& listener, const IpAddress& address) {
  listener.socket = socket(address.family(), SOCK_STREAM, 0);
  if (listener.socket < 0 || bind(listener.socket, address.get(), address.size()) != 0 ||
      listen(listener.socket, 64) != 0) {
    throw std::runtime_error(fmt::format("cannot listen for the hosts: {}", std::strerror(errno)));
  }
  fcntl(listener.socket, F_SETFD, FD_CLOEXEC);
  listener.port = IpAddress::of(listener.socket).port();
}

// The address of this machine that reaches a host, as the system's routes say.
IpAddress own_address(const std::string& host) {
  IpAddress there(host, 9);
  int probe = socket(there.family(), SOCK_DGRAM, 0);  // connecting it sends nothing
  std::optional<IpAddress> here;
  if (probe >= 0 && connect(probe, there.get(), there.size()) == 0) here = IpAddress::of(probe);
  if (probe >= 0) close(probe);
  if (!here) throw std::runtime_error(fmt::format("there is no route to {}", host));
  return *here;
}

// Only who was started by us may speak.
std::string fresh_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

Launch launch_of(const HostPlan& plan, const std::string& launcher) {
  Launch launch;
  launch.executable = find_program(launcher);
  if (launch.executable.empty()) {
    throw std::runtime_error(fmt::format("there is no {} here; load its module", launcher));
  }
  std::vector<std::string> names;
  for (const HostEntry& each : plan.hosts) names.push_back(each.host.ssh);
  std::string list = fmt::format("{}", fmt::join(names, ","));
  std::string count = std::to_string(names.size());
  if (launcher == "mpirun") {
    launch.arguments = {"-np", count, "--host", list, "--map-by", "node"};
    if (geteuid() == 0) launch.arguments.insert(launch.arguments.begin(), "--allow-run-as-root");
  } else {
    launch.arguments = {"--ntasks=" + count, "--nodes=" + count, "--ntasks-per-node=1",
                        "--nodelist=" + list, "--distribution=cyclic"};
  }
  return launch;
}

}  // namespace

void RemoteHosts::start_agents_by_launcher() {
  Listener listener;
  std::string here = own_address(plan_.hosts[0].host.ips[0]).text();
  listen_at(listener, IpAddress(here));
  std::string token = fresh_token();
  Launch launch = launch_of(plan_, options_.launcher);
  std::string directory = plan_.hosts[0].directory;
  if (directory.empty()) {
    throw InputError(plan_.file, "hosts/0",
                     fmt::format("with --launcher {} nothing is copied; install Railyard at the "
                                 "same place on all hosts and name its \"directory\"",
                                 options_.launcher));
  }
  launch.arguments.push_back(directory + "/bin/railyard-host");
  launch.arguments.push_back("--dial");
  launch.arguments.push_back(IpAddress(here, listener.port).endpoint());
  launch.arguments.push_back(token);
  std::string errors = place_.file("launcher");
  int output = open(errors.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  launch.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  launch.output = launch.error = output;
  launcher_ = std::make_unique<Process>(launch);
  close(launch.input);
  close(output);

  size_t joined = 0;
  int64_t deadline = monotonic_ns() + kPatienceMs * 1'000'000LL;
  while (joined < hosts_.size()) {
    pollfd watched{listener.socket, POLLIN, 0};
    bool dead = launcher_->ending().has_value();
    if (dead || monotonic_ns() > deadline) {
      throw std::runtime_error(fmt::format("{} started {} of {} agents{}", options_.launcher,
                                           joined, hosts_.size(),
                                           dead ? ": " + tail_of(errors, 1) : " in 30 s"));
    }
    if (poll(&watched, 1, 100) <= 0) continue;
    int socket = accept(listener.socket, nullptr, nullptr);
    if (socket < 0) continue;
    fcntl(socket, F_SETFD, FD_CLOEXEC);
    auto channel = std::make_unique<Channel>(socket, socket);
    auto word = channel->receive(kWordMs);
    if (!word || word->value("is", "") != "joined" || word->value("token", "") != token) continue;
    size_t host = word->value("number", hosts_.size());
    if (host >= hosts_.size() || hosts_[host].link) continue;
    hosts_[host].directory = directory;
    hosts_[host].link = std::make_unique<HostLink>(plan_.hosts[host].host.ssh, std::move(channel),
                                                   [errors] { return tail_of(errors, 1); });
    ++joined;
  }
}

}  // namespace railyard::harness
