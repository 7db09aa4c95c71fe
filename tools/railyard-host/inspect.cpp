#include "inspect.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "hardware/mac_ports.h"
#include "verbs_table.h"

namespace railyard::host {

namespace {

using nlohmann::json;

// "0002:c903:0010:aabb", as ibv_devinfo writes it.
std::string guid_text(__be64 guid) {
  unsigned char bytes[8];
  std::memcpy(bytes, &guid, sizeof bytes);
  char text[20];
  std::snprintf(text, sizeof text, "%02x%02x:%02x%02x:%02x%02x:%02x%02x", bytes[0], bytes[1],
                bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
  return text;
}

json look_at(const VerbsTable& verbs, ibv_device* device) {
  json found = {{"name", verbs.name(device)}, {"guid", guid_text(verbs.guid(device))}};
  errno = 0;
  ibv_context* context = verbs.open(device);
  if (!context) {
    found["error"] = std::string("cannot be opened: ") + std::strerror(errno);
    return found;
  }
  ibv_port_attr port{};
  if (int error = verbs.port(context, 1, &port); error != 0) {
    found["error"] = "its port does not tell: " + std::string(std::strerror(error));
  } else {
    found["active"] = port.state == IBV_PORT_ACTIVE;
    found["state"] = static_cast<int>(port.state);
    found["gids"] = found["gid_rows"] = json::array();
    for (int row = 0; row < port.gid_tbl_len && row < 256; ++row) {
      ibv_gid gid{};
      if (verbs.gid(context, 1, row, &gid) != 0 || text_of(gid) == "::") continue;
      found["gids"].push_back(text_of(gid));
      found["gid_rows"].push_back(row);
    }
  }
  verbs.close(context);
  return found;
}

std::string output_of(const char* command) {
  std::string output;
  FILE* pipe = popen(command, "r");
  if (!pipe) return output;
  std::array<char, 4096> part;
  while (size_t bytes = fread(part.data(), 1, part.size(), pipe)) output.append(part.data(), bytes);
  pclose(pipe);
  return output;
}

// Of a Mac, which has these commands: its Thunderbolt ports, and the interfaces that the
// Thunderbolt Bridge owns; RDMA needs them for itself.
void ask_mac(json& found) {
  found["thunderbolt"] = found["bridged"] = json::array();
  if (output_of("command -v system_profiler").empty()) return;
  auto interfaces =
      harness::hardware_ports(output_of("networksetup -listallhardwareports 2>/dev/null"));
  std::string profile = output_of("system_profiler SPThunderboltDataType -json 2>/dev/null");
  for (const harness::ThunderboltPort& port : harness::thunderbolt_ports(profile, interfaces)) {
    found["thunderbolt"].push_back({{"device", "rdma_" + port.interface},
                                    {"receptacle", port.receptacle},
                                    {"speed", port.speed},
                                    {"domain", port.domain},
                                    {"peer_domain", port.peer_domain},
                                    {"peer_name", port.peer_name}});
  }
  found["bridged"] = harness::bridge_members(output_of("ifconfig bridge0 2>/dev/null"));
}

}  // namespace

int inspect() {
  json found = {{"devices", json::array()}};
  ask_mac(found);
  std::string error;
  VerbsTable verbs = load_verbs(error);
  if (!error.empty()) {
    found["error"] = error;
  } else {
    int count = 0;
    ibv_device** list = verbs.list(&count);
    for (int i = 0; list && i < count; ++i) found["devices"].push_back(look_at(verbs, list[i]));
  }
  std::printf("%s\n", found.dump().c_str());
  std::fflush(stdout);
  _Exit(0);  // the library may have threads
}

}  // namespace railyard::host
