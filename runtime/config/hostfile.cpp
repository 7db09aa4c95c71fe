#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "config/device_matrix.h"

namespace railyard {

namespace {

using config::JsonSource;

bool is_address(const std::string& text) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

std::vector<std::string> parse_ips(const JsonSource& source, const nlohmann::json& ips,
                                   const std::string& place) {
  if (!ips.is_array()) {
    source.fail(place, fmt::format("holds {}; write an array of addresses",
                                   config::type_with_article(ips)));
  }
  std::vector<std::string> addresses;
  for (size_t i = 0; i < ips.size(); ++i) {
    std::string at = fmt::format("{}[{}]", place, i);
    if (!ips[i].is_string()) {
      source.fail(at, fmt::format("holds {}; write an address in quotes",
                                  config::type_with_article(ips[i])));
    }
    auto address = ips[i].get<std::string>();
    if (!is_address(address)) {
      source.fail(at, fmt::format("'{}' is not an IP address", address));
    }
    addresses.push_back(std::move(address));
  }
  return addresses;
}

Host parse_host(const JsonSource& source, const nlohmann::json& value, const std::string& place) {
  if (!value.is_object()) {
    source.fail(place, fmt::format("holds {}; a host is an object with \"ssh\" and \"ips\"",
                                   config::type_with_article(value)));
  }
  Host host;
  if (!value.contains("ssh")) source.fail(place, "has no \"ssh\"; write how ssh reaches this host");
  if (!value["ssh"].is_string() || value["ssh"].get<std::string>().empty()) {
    source.fail(place + ".ssh", "is not a host name; write how ssh reaches this host");
  }
  host.ssh = value["ssh"].get<std::string>();
  if (value.contains("ips")) host.ips = parse_ips(source, value["ips"], place + ".ips");
  if (!value.contains("rdma") || value["rdma"].is_null()) return host;
  const auto& row = value["rdma"];
  if (!row.is_array()) {
    source.fail(place + ".rdma", fmt::format("holds {}; write an array with one cell for each host",
                                             config::type_with_article(row)));
  }
  for (size_t j = 0; j < row.size(); ++j) {
    host.rdma.push_back(config::parse_cell(source, row[j], fmt::format("{}.rdma[{}]", place, j)));
  }
  return host;
}

DeviceMatrix rows_of(const Hostfile& hostfile) {
  DeviceMatrix matrix;
  for (const Host& host : hostfile.hosts) matrix.push_back(host.rdma);
  return matrix;
}

// Rows are all there or none is; then they make a device matrix.
void check_devices(const JsonSource& source, const Hostfile& hostfile) {
  auto given = std::count_if(hostfile.hosts.begin(), hostfile.hosts.end(),
                             [](const Host& host) { return !host.rdma.empty(); });
  if (given == 0) return;
  for (size_t i = 0; i < hostfile.hosts.size(); ++i) {
    if (!hostfile.hosts[i].rdma.empty()) continue;
    source.fail(fmt::format("hosts[{}]", i),
                "has no \"rdma\" but other hosts have; give every host its row of devices");
  }
  config::check_matrix(source.file, rows_of(hostfile));
}

}  // namespace

bool Hostfile::has_devices() const {
  return !hosts.empty() && std::all_of(hosts.begin(), hosts.end(),
                                       [](const Host& host) { return !host.rdma.empty(); });
}

DeviceMatrix Hostfile::devices() const {
  DeviceMatrix matrix = rows_of(*this);
  config::check_matrix("hostfile", matrix);
  return matrix;
}

Hostfile load_hostfile(const std::string& path) {
  JsonSource source = config::read_json(path, "hostfile");
  const auto& document = source.document;
  Hostfile hostfile;
  const nlohmann::json* hosts = &document;
  if (document.is_object()) {
    if (!document.contains("hosts")) {
      source.fail("", "has no \"hosts\"; write an array of hosts, each with \"ssh\" and \"ips\"");
    }
    hosts = &document["hosts"];
    if (document.contains("backend")) {
      if (!document["backend"].is_string()) {
        source.fail("backend", fmt::format("holds {}; write a name such as \"jaccl\"",
                                           config::type_with_article(document["backend"])));
      }
      hostfile.backend = document["backend"].get<std::string>();
    }
  }
  if (!hosts->is_array()) {
    source.fail(hosts == &document ? "" : "hosts",
                fmt::format("holds {}; write an array of hosts, each with \"ssh\" and \"ips\"",
                            config::type_with_article(*hosts)));
  }
  if (hosts->empty()) source.fail("hosts", "is empty; name at least one host");
  for (size_t i = 0; i < hosts->size(); ++i) {
    hostfile.hosts.push_back(parse_host(source, (*hosts)[i], fmt::format("hosts[{}]", i)));
  }
  check_devices(source, hostfile);
  return hostfile;
}

}  // namespace railyard
