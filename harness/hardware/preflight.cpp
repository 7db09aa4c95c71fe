// Before any rank starts: is each host there, and has it what the hostfile says?
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "hardware/remote_hosts.h"
#include "platform/executable.h"

namespace railyard::harness {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// What goes to a host that has nothing: the programs and the pass-through library.
constexpr const char* kPrograms[] = {"railyard-host", "railyard-rank", "railyard-faulty"};

std::string own_system() {
  utsname system{};
  uname(&system);
  return fmt::format("{} {}", system.sysname, system.machine);
}

// Why ssh does not get there, and what mends it.
std::string why_not(const CommandResult& result) {
  std::string words = result.last_words();
  auto says = [&](const char* part) { return result.errors.find(part) != std::string::npos; };
  if (says("Permission denied")) {
    return fmt::format("ssh refuses the key ({}); add yours to its authorized_keys", words);
  }
  if (says("Host key verification failed") || says("REMOTE HOST IDENTIFICATION HAS CHANGED")) {
    return "ssh does not know its host key; log in by hand once, and compare it";
  }
  if (says("Could not resolve")) return fmt::format("{}; check the name in the hostfile", words);
  if (says("timed out") || says("No route") || says("unreachable") || says("refused")) {
    return fmt::format("it cannot be reached ({}); is it on, and its sshd running?", words);
  }
  return fmt::format("ssh fails: {}", words.empty() ? "it says nothing" : words);
}

}  // namespace

std::string RemoteHosts::program(int host, const std::string& name) const {
  return hosts_[static_cast<size_t>(host)].directory + "/bin/" + name;
}

std::string RemoteHosts::library_directory(int host) const {
  return hosts_[static_cast<size_t>(host)].libraries;
}

void RemoteHosts::reach(size_t host) {
  Entry& entry = hosts_[host];
  entry.ssh = std::make_unique<Ssh>(plan_.hosts[host].host.ssh, place_.path());
  std::string named = plan_.hosts[host].directory;
  // Where Railyard is: where the hostfile says, in the path, or in this user's cache. The last line
  // tells that the answer is whole.
  std::string ask = fmt::format(
      "uname -sm; D={}; [ -n \"$D\" ] || D=$(dirname \"$(dirname \"$(command -v railyard-host || "
      "echo /-/-/-)\")\"); [ -x \"$D/bin/railyard-host\" ] && echo \"$D\"; echo .; exit 0",
      shell_quoted(named));
  CommandResult result;
  for (int tries = 0; tries < 3 && !result.output.ends_with("\n.\n"); ++tries) {
    result = entry.ssh->run(ask);
    if (result.exit != 0) throw std::runtime_error(why_not(result));
  }
  std::istringstream lines(result.output);
  std::string system;
  std::getline(lines, system);
  if (std::getline(lines, entry.directory) && entry.directory != ".") return;
  entry.directory.clear();
  if (!named.empty()) {
    throw std::runtime_error(
        fmt::format("there is no {}/bin/railyard-host; install Railyard there, or leave "
                    "\"directory\" out and it is copied",
                    named));
  }
  if (system != own_system()) {
    throw std::runtime_error(fmt::format(
        "it is a {}, this machine a {}: its programs must be built there; install Railyard and "
        "name its \"directory\"",
        system, own_system()));
  }
  install(host);
}

// What hosts get that have no Railyard yet.
void RemoteHosts::pack() {
  fs::path here = fs::path(executable_directory()).parent_path();
  std::string names;
  for (const char* place : {"lib/passthrough/", "lib/railyard/passthrough/"}) {
    if (names.empty() && fs::exists(here / place / verbs_library_name())) names = place;
  }
  names += verbs_library_name();
  for (const char* each : kPrograms) {
    if (fs::exists(here / "bin" / each)) names += fmt::format(" bin/{}", each);
  }
  std::string command = fmt::format("tar -C {} -chf {} {}", shell_quoted(here.string()),
                                    shell_quoted(place_.file("railyard.tar")), names);
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error("Railyard's programs cannot be packed here: tar fails");
  }
}

void RemoteHosts::install(size_t host) {
  Entry& entry = hosts_[host];
  std::string archive = place_.file("railyard.tar");
  std::call_once(packed_, [this] { pack(); });
  // By version and user; a fresh copy each time, since a build of the same version may differ.
  CommandResult result = entry.ssh->run(
      "umask 077; D=${XDG_CACHE_HOME:-$HOME/.cache}/railyard/" RAILYARD_VERSION
      "; mkdir -p \"$D\" && N=$(mktemp -d \"$D/XXXXXX\") && tar -C \"$N\" -xf - && echo \"$N\"",
      archive);
  if (result.exit != 0) {
    throw std::runtime_error(
        fmt::format("Railyard cannot be copied there: {}", result.last_words()));
  }
  entry.directory = result.output.substr(0, result.output.find('\n'));
  entry.copied = true;
}

void RemoteHosts::start_agent(size_t host) {
  Entry& entry = hosts_[host];
  std::string errors = place_.file(fmt::format("agent.{}", host));
  std::unique_ptr<Channel> channel =
      entry.ssh->open(shell_quoted(program(static_cast<int>(host), "railyard-host")) + " --serve",
                      entry.process, errors);
  entry.link = std::make_unique<HostLink>(plan_.hosts[host].host.ssh, std::move(channel),
                                          [errors] { return tail_of(errors, 1); });
}

// What a program there needs to reach the verbs as a rank does, once the agent has said hello.
json RemoteHosts::verbs_environment(size_t host) const {
  json environment = json::object();
  for (const auto& [name, value] : plan_.hosts[host].environment) environment[name] = value;
  environment[loader_variable()] = library_directory(static_cast<int>(host));
  if (!plan_.hosts[host].library.empty()) {
    environment["RAILYARD_REAL_VERBS"] = plan_.hosts[host].library;
  }
  return environment;
}

std::unique_ptr<Channel> RemoteHosts::open_probe(int host, std::unique_ptr<Process>& process) {
  auto index = static_cast<size_t>(host);
  std::string command = "env";
  const json environment = verbs_environment(index);
  for (const auto& [name, value] : environment.items()) {
    command += " " + shell_quoted(name + "=" + value.get<std::string>());
  }
  command += " " + shell_quoted(program(host, "railyard-host")) + " --probe";
  return hosts_[index].ssh->open(command, process, place_.file(fmt::format("probe.{}", host)));
}

json RemoteHosts::thunderbolt(int host, const std::string& device) const {
  const json& found = hosts_[static_cast<size_t>(host)].found;
  for (const json& port : found.value("thunderbolt", json::array())) {
    if (port["device"] == device) return port;
  }
  return json::object();
}

void RemoteHosts::inspect(size_t host) {
  Entry& entry = hosts_[host];
  try {
    entry.hello = entry.link->wait_for("hello", 25);
    entry.libraries = entry.hello.value("libraries", "");
    entry.found = entry.link->ask({{"do", "inspect"}, {"environment", verbs_environment(host)}},
                                  "inspected", 30);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("Railyard's agent fails there: {}", error.what()));
  }
}

// Devices that the hostfile names and the host has not.
std::string RemoteHosts::mistake(size_t host) const {
  const json& found = hosts_[host].found;
  if (!found.is_object() || !found["devices"].is_array() || found["devices"].empty()) return "";
  std::vector<std::string> names;
  for (const json& device : found["devices"]) names.push_back(device["name"]);
  for (size_t peer = 0; peer < plan_.hosts[host].host.rdma.size(); ++peer) {
    for (const std::string& name : plan_.hosts[host].host.rdma[peer]) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      return fmt::format("hosts/{}/rdma/{}: {} has no device {}; it has {}", host, peer,
                         plan_.hosts[host].host.ssh, name, fmt::join(names, ", "));
    }
  }
  return "";
}

std::string RemoteHosts::trouble(size_t host) const {
  const Entry& entry = hosts_[host];
  if (entry.hello.value("version", "") != RAILYARD_VERSION) {
    return fmt::format("its Railyard is {}, this one {}; install the same on both",
                       entry.hello.value("version", "of no version"), RAILYARD_VERSION);
  }
  if (entry.found.contains("error")) {
    return fmt::format("{}; name its verbs library as \"library\"",
                       entry.found["error"].get<std::string>());
  }
  if (entry.found["devices"].empty()) {
    return "it has no RDMA devices; on a Mac: `rdma_ctl enable` in recovery mode (macOS 26.2 or "
           "later), on Linux: is the driver loaded?";
  }
  if (!mistake(host).empty()) return "";
  for (const json& device : entry.found["devices"]) {
    const auto& row = plan_.hosts[host].host.rdma;
    std::string name = device["name"];
    bool named = std::any_of(row.begin(), row.end(), [&](const auto& cell) {
      return std::find(cell.begin(), cell.end(), name) != cell.end();
    });
    if (!named) continue;
    std::string interface = name.substr(name.find('_') + 1);
    for (const json& member : entry.found["bridged"]) {
      if (member != interface) continue;
      return fmt::format(
          "the Thunderbolt Bridge owns {}; take it out: sudo ifconfig bridge0 "
          "deletem {}",
          interface, interface);
    }
    if (device.contains("error")) return name + " " + device["error"].get<std::string>();
    if (!device.value("active", false)) {
      json port = thunderbolt(static_cast<int>(host), name);
      std::string where = port.empty()
                              ? ""
                              : fmt::format(" (Thunderbolt {}, {})", port.value("receptacle", ""),
                                            port.value("peer_domain", "").empty()
                                                ? "where nothing is plugged in"
                                                : "to " + port.value("peer_name", ""));
      return fmt::format("the port of {}{} is down; check its cable, and that the interface is up",
                         name, where);
    }
    if (device["gids"].empty()) {
      return fmt::format("{} has no GID; give its interface an address", name);
    }
  }
  return "";
}

std::string RemoteHosts::row(size_t host) const {
  const Entry& entry = hosts_[host];
  std::string name = plan_.hosts[host].host.ssh;
  if (!entry.found.is_object()) return fmt::format("  {:<20} no\n", name);
  std::string devices;
  size_t active = 0, gids = 0, count = 0;
  if (entry.found.contains("devices")) {
    for (const json& device : entry.found["devices"]) {
      ++count;
      active += device.value("active", false);
      if (device.contains("gids")) gids += device["gids"].size();
    }
  }
  std::string bridge = entry.hello.value("system", "") == "Darwin"
                           ? fmt::format("{}", entry.found["bridged"].size())
                           : "-";
  double uncertain = static_cast<double>(entry.link->uncertainty_ns()) / 1000.0;
  return fmt::format("  {:<20} yes    {:<9} {:<22} {:>7} {:>6} {:>5} {:>7}  +-{:.0f} us\n", name,
                     entry.hello.value("version", "?"),
                     entry.hello.value("system", "?") + " " + entry.hello.value("release", "?"),
                     count, active, gids, bridge, uncertain);
}

Hosts::Preflight RemoteHosts::preflight() {
  Hosts::Preflight result;
  std::vector<std::string> troubles(hosts_.size());
  bool by_launcher = options_.launcher != "ssh" && !options_.launcher.empty();
  // All hosts at once; but what outlives this is started by this thread.
  auto for_all = [&](auto act) {
    std::vector<std::thread> threads;
    for (size_t host = 0; host < hosts_.size(); ++host) {
      if (!troubles[host].empty()) continue;
      threads.emplace_back([host, act, &troubles] {
        try {
          act(host);
        } catch (const std::exception& error) {
          troubles[host] = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  if (by_launcher) {
    start_agents_by_launcher();
  } else {
    for_all([this](size_t host) { reach(host); });
    for (size_t host = 0; host < hosts_.size(); ++host) {
      if (troubles[host].empty()) start_agent(host);
    }
  }
  for_all([this, &troubles](size_t host) {
    inspect(host);
    troubles[host] = trouble(host);
  });

  result.table =
      fmt::format("  {:<20} {:<6} {:<9} {:<22} {:>7} {:>6} {:>5} {:>7}  {}\n", "host", "there",
                  "railyard", "system", "devices", "active", "GIDs", "bridged", "clock");
  result.bad_input = true;
  for (size_t host = 0; host < hosts_.size(); ++host) {
    result.table += row(host);
    if (std::string wrong = mistake(host); !wrong.empty()) {
      result.problems.push_back(fmt::format("{}: {}", plan_.file, wrong));
    } else if (!troubles[host].empty()) {
      result.problems.push_back(fmt::format("{}: hosts/{}: {}: {}", plan_.file, host,
                                            plan_.hosts[host].host.ssh, troubles[host]));
      result.bad_input = false;
    }
  }
  return result;
}

Hosts::Hosts(const HostOptions& options) : remote_(std::make_unique<RemoteHosts>(options)) {}
Hosts::~Hosts() = default;
Hosts::Preflight Hosts::preflight() { return remote_->preflight(); }
std::string Hosts::obstacle(const Scenario& scenario) const {
  return Placement(scenario, remote_->plan()).obstacle();
}

}  // namespace railyard::harness
