#include "hardware/hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/ip_address.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace {

std::vector<std::pair<std::string, std::string>> read_variables(const Reader& reader) {
  std::vector<std::pair<std::string, std::string>> variables;
  if (reader.is_object()) {
    for (const auto& [name, value] : reader.members()) variables.emplace_back(name, value.text());
    return variables;
  }
  for (const Reader& entry : reader.elements()) {
    std::string text = entry.text();
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      entry.fail(fmt::format("'{}' sets nothing; write NAME=value", text));
    }
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

void check_addresses(const Reader& reader, const Host& host) {
  if (host.ips.empty()) {
    reader.fail("there are no \"ips\"; write the address at which the other hosts reach this one");
  }
  for (size_t i = 0; i < host.ips.size(); ++i) {
    if (IpAddress::is(host.ips[i])) continue;
    reader.at("ips").elements()[i].fail(
        fmt::format("'{}' is no IP address; write one, as in 10.0.0.1", host.ips[i]));
  }
}

HostCable read_cable(const Reader& reader, const std::vector<HostEntry>& hosts) {
  reader.object({"ends", "unplug", "plug"});
  std::vector<Reader> ends = reader.at("ends").elements();
  if (ends.size() != 2)
    reader.at("ends").fail("a cable has two ends; write [\"a/en3\", \"b/en3\"]");
  HostCable cable;
  for (size_t i = 0; i < 2; ++i) {
    cable.ends[i] = ends[i].text();
    std::string ssh = cable.ends[i].substr(0, cable.ends[i].rfind('/'));
    bool known = std::any_of(hosts.begin(), hosts.end(),
                             [&](const HostEntry& each) { return each.host.ssh == ssh; });
    if (!known) {
      ends[i].fail(
          fmt::format("there is no host '{}'; write the ssh name of one, a slash and its "
                      "device",
                      ssh));
    }
  }
  if (reader.has("unplug") != reader.has("plug")) {
    reader.fail("one of 'unplug' and 'plug' is missing; what is dropped must be restored");
  }
  if (reader.has("unplug")) cable.unplug = reader.at("unplug").text();
  if (reader.has("plug")) cable.plug = reader.at("plug").text();
  return cable;
}

}  // namespace

HostPlan load_host_plan(const std::string& file, bool devices_needed) {
  HostPlan plan;
  plan.file = file;
  Json json = parse_json(file, read_file(file));
  Reader whole(file, "", json);
  std::vector<Host> hosts = read_cabled_hosts(whole);
  std::vector<Reader> entries = list_of_hosts(whole).elements();
  for (size_t i = 0; i < hosts.size(); ++i) {
    HostEntry entry;
    entry.host = hosts[i];
    check_addresses(entries[i], hosts[i]);
    if (devices_needed && hosts[i].rdma.empty()) {
      entries[i].fail("the key 'rdma' is missing; add the device to each peer");
    }
    if (entries[i].has("directory")) entry.directory = entries[i].at("directory").text();
    if (entries[i].has("library")) entry.library = entries[i].at("library").text();
    if (whole.has("envs")) entry.environment = read_variables(whole.at("envs"));
    if (entries[i].has("env")) {
      for (auto& variable : read_variables(entries[i].at("env"))) {
        entry.environment.push_back(std::move(variable));
      }
    }
    plan.hosts.push_back(std::move(entry));
  }
  if (whole.has("cables")) {
    for (const Reader& cable : whole.at("cables").elements()) {
      plan.cables.push_back(read_cable(cable, plan.hosts));
    }
  }
  if (whole.has("hand")) {
    if (!whole.at("hand").json().is_boolean()) whole.at("hand").fail("write true or false");
    plan.hand = whole.at("hand").json().get<bool>();
  }
  return plan;
}

DeviceMatrix HostPlan::matrix(int ranks) const {
  DeviceMatrix matrix;
  for (size_t i = 0; i < static_cast<size_t>(ranks) && i < hosts.size(); ++i) {
    const auto& row = hosts[i].host.rdma;
    matrix.emplace_back(row.begin(), row.begin() + std::min<long>(ranks, std::ssize(row)));
  }
  return matrix;
}

}  // namespace railyard::harness
