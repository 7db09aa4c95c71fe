// MLX hostfiles: {"backend": "jaccl", "hosts": [{"ssh", "ips", "rdma"}, ...]}, or the array alone.
#include <fmt/format.h>

#include "scenario/sections.h"

namespace railyard::harness {

namespace {

Host read_host(const Reader& reader, size_t hosts, bool rdma_needed) {
  reader.object({"ssh", "ips", "rdma", "cwd", "env", "directory", "library"});
  Host host;
  host.ssh = reader.at("ssh").text();
  if (host.ssh.empty()) reader.at("ssh").fail("the name is empty; write the machine's ssh name");
  if (reader.has("ips")) host.ips = reader.at("ips").texts();
  if (!reader.has("rdma")) {
    if (rdma_needed) reader.fail("the key 'rdma' is missing; add the device to each peer");
    return host;
  }
  std::vector<Reader> cells = reader.at("rdma").elements();
  if (cells.size() != hosts) {
    reader.at("rdma").fail(fmt::format(
        "the matrix is not square: {} cells for {} hosts; write one per host, null for itself",
        cells.size(), hosts));
  }
  for (const Reader& cell : cells) {
    if (cell.is_null()) {
      host.rdma.emplace_back();
    } else if (cell.is_text()) {
      host.rdma.push_back({cell.text()});
    } else if (cell.is_array()) {
      host.rdma.push_back(cell.texts());
    } else {
      cell.fail("a cell is null, a device's name, or an array of names");
    }
  }
  return host;
}

// Each host has no device to itself, and both ends of each cable are there.
void check_rails(const std::vector<Reader>& entries, const std::vector<Host>& hosts) {
  for (size_t i = 0; i < hosts.size(); ++i) {
    for (size_t j = 0; j < hosts[i].rdma.size(); ++j) {
      Reader cell = entries[i].at("rdma").elements()[j];
      if (i == j && !hosts[i].rdma[j].empty())
        cell.fail("a host has no device to itself; write null");
      if (hosts[j].rdma.empty()) continue;
      size_t there = hosts[i].rdma[j].size(), back = hosts[j].rdma[i].size();
      if (there != back) {
        cell.fail(fmt::format("{} rails lead to {}, {} come back; name both ends of each cable",
                              there, hosts[j].ssh, back));
      }
    }
  }
}

}  // namespace

Reader list_of_hosts(const Reader& whole) { return whole.is_array() ? whole : whole.at("hosts"); }

std::vector<Host> read_hosts(const Reader& whole) {
  bool jaccl = false;
  if (!whole.is_array()) {
    whole.object({"backend", "hosts", "envs", "cables", "hand"});
    if (whole.has("backend")) {
      jaccl = whole.at("backend")
                  .one_of({"jaccl", "jaccl-ring", "ring", "any", "mpi"})
                  .starts_with("jaccl");
    }
  }
  Reader list = list_of_hosts(whole);
  std::vector<Reader> entries = list.elements();
  if (entries.empty()) list.fail("there are no hosts; add one object per machine");
  std::vector<Host> hosts;
  for (const Reader& entry : entries) hosts.push_back(read_host(entry, entries.size(), jaccl));
  return hosts;
}

std::vector<Host> read_cabled_hosts(const Reader& whole) {
  std::vector<Host> hosts = read_hosts(whole);
  check_rails(list_of_hosts(whole).elements(), hosts);
  return hosts;
}

std::vector<Host> load_hostfile(const std::string& file) {
  return parse_hostfile(file, read_file(file));
}

std::vector<Host> parse_hostfile(const std::string& file, const std::string& text) {
  Json json = parse_json(file, text);
  return read_cabled_hosts(Reader(file, "", json));
}

}  // namespace railyard::harness
