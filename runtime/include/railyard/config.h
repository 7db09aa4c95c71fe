// Configuration of a group: what JACCL and MLX users already have (environment variables, device
// matrices, hostfiles), checked in full before anything is opened.
//
// Every function here throws ConfigurationError with one line that names the file, the place in it
// and the mend. Nothing here talks to a device or to the network. Functions are thread-safe; a
// Config is a plain value.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace railyard {

// mesh and ring are over RDMA. tcp connects every pair of ranks, tcp_ring neighbours; local is a
// group of one. any: the best of them that the configuration supports.
enum class Backend { any, mesh, ring, tcp, tcp_ring, local };

// "any", "mesh", "ring", "tcp", "tcp-ring", "local".
const char* name(Backend backend);

// devices[i][j] are the names of rank i's devices that are cabled to rank j, one for each rail:
// rail k of [i][j] and rail k of [j][i] are the two ends of one cable.
using DeviceMatrix = std::vector<std::vector<std::vector<std::string>>>;

// A JACCL device matrix: a square JSON array whose cells are null, a name, or an array of names. It
// must be square, with an empty diagonal and as many rails from i to j as from j to i.
// `path` names a file; text that begins with '[' is taken as the JSON itself.
DeviceMatrix load_device_matrix(const std::string& path);

// One machine of an MLX hostfile.
struct Host {
  std::string ssh;               // how ssh reaches it
  std::vector<std::string> ips;  // its addresses, the first one for the side channel
  std::vector<std::vector<std::string>>
      rdma;  // its row of the device matrix; empty: none was given
};

struct Hostfile {
  std::string backend;  // as written ("jaccl", "ring", ...), empty for the plain array form
  std::vector<Host> hosts;

  bool has_devices() const;      // every host has a row
  DeviceMatrix devices() const;  // the rows, checked like a device matrix
};

// An MLX hostfile: {"backend": ..., "hosts": [{"ssh", "ips", "rdma"}, ...]} or the plain array of
// hosts. `path` as for load_device_matrix ('[' or '{').
Hostfile load_hostfile(const std::string& path);

struct Config {
  int rank = -1;
  // "ip:port" or "[ipv6]:port": where rank 0 listens for the side channel.
  std::string coordinator;
  DeviceMatrix devices;
  // How many ranks there are, for groups over TCP without a device matrix; 0: as many as it has
  // rows.
  int ranks = 0;
  Backend backend = Backend::any;
  // With Backend::any: a ring where the matrix allows one, before a mesh.
  bool prefer_ring = false;
  // How long one operation may take in all before it ends with an error.
  std::chrono::milliseconds deadline{30'000};
  // How long the ranks may take to find each other and to connect.
  std::chrono::milliseconds bootstrap_deadline{30'000};
  // No message is longer than this (0: what the device allows). macOS 26.2 takes 4096 only.
  size_t max_message_bytes = 0;
  // How many processors this rank shares with the others on its machine (0: all that are online).
  int processors = 0;

  int size() const { return devices.empty() ? ranks : static_cast<int>(devices.size()); }

  // Reads
  //   JACCL_RANK | MLX_RANK                       this process's rank
  //   JACCL_COORDINATOR | MLX_JACCL_COORDINATOR   "ip:port"
  //   JACCL_IBV_DEVICES | MLX_IBV_DEVICES         a device-matrix file
  //   JACCL_RING | MLX_JACCL_RING                 prefer a ring; "", "0", "false", "no", "off" mean
  //                                               no
  //   RAILYARD_BACKEND                            any | mesh | ring | tcp | tcp-ring | local
  //   RAILYARD_SIZE                               how many ranks, where there is no device matrix
  //   RAILYARD_DEADLINE_MS, RAILYARD_BOOTSTRAP_DEADLINE_MS, RAILYARD_MAX_MESSAGE_BYTES,
  //   RAILYARD_PROCESSORS
  // The first name of a pair wins. Nothing when none of rank, coordinator and devices is set: this
  // process was not started as a rank. Throws when only some are, or when one is not valid.
  // Without `coordinator_needed` the ranks will find each other some other way.
  static std::optional<Config> from_environment(bool coordinator_needed = true);

  // All connections a mesh needs: every pair of ranks has a rail.
  bool is_valid_mesh() const;
  // All connections a ring needs: every rank has rails to its neighbours, the same number to each.
  bool is_valid_ring() const;

  // Throws unless a group can be made of this.
  void check(bool coordinator_needed = true) const;

  // The backend that Group::create uses: never `any`, never another one than was asked for. `why`,
  // if given, gets a sentence with the reason.
  Backend choose_backend(std::string* why = nullptr) const;
};

}  // namespace railyard
