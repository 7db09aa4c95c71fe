// The hosts of a hardware run and the lines to their agents.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/workplace.h"
#include "hardware/host_link.h"
#include "hardware/hosts.h"
#include "hardware/ssh.h"
#include "railyard/hosts.h"

namespace railyard::harness {

class RemoteHosts {
 public:
  explicit RemoteHosts(const HostOptions& options)
      : options_(options),
        plan_(load_host_plan(options.file, options.devices_needed)),
        hosts_(plan_.hosts.size()) {}

  ~RemoteHosts();

  Hosts::Preflight preflight();

  const HostPlan& plan() const { return plan_; }
  const HostOptions& options() const { return options_; }
  HostLink& link(int host) { return *hosts_[static_cast<size_t>(host)].link; }
  // Where Railyard's programs lie on a host, and the directory of the pass-through library.
  std::string program(int host, const std::string& name) const;
  std::string library_directory(int host) const;
  // What the preflight found: name, guid, active, gids of each device.
  const nlohmann::json& devices(int host) const {
    return hosts_[static_cast<size_t>(host)].found["devices"];
  }
  // What a Mac says of its Thunderbolt port with this device; an empty object: nothing.
  nlohmann::json thunderbolt(int host, const std::string& device) const;
  // Starts railyard-host --probe there, over ssh; it ends with its channel.
  std::unique_ptr<Channel> open_probe(int host, std::unique_ptr<Process>& process);

 private:
  struct Entry {
    std::string directory;  // where Railyard lies on the host
    std::string libraries;  // where its pass-through library lies
    bool copied = false;    // by this run, which removes it again
    std::unique_ptr<Ssh> ssh;
    std::unique_ptr<Process> process;  // ssh, or nothing
    std::unique_ptr<HostLink> link;    // goes before what carries it
    nlohmann::json hello, found;
  };

  // Each throws std::runtime_error in words that name what mends it.
  void pack();
  void reach(size_t host);
  void install(size_t host);
  void start_agent(size_t host);
  void start_agents_by_launcher();
  nlohmann::json verbs_environment(size_t host) const;
  void inspect(size_t host);
  std::string row(size_t host) const;
  // What the hostfile says of a host that is not so; empty: nothing.
  std::string mistake(size_t host) const;
  std::string trouble(size_t host) const;

  HostOptions options_;
  HostPlan plan_;
  Workplace place_;
  std::once_flag packed_;
  std::vector<Entry> hosts_;
  std::unique_ptr<Process> launcher_;
};

}  // namespace railyard::harness
