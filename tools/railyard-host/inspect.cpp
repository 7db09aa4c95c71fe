#include "inspect.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <infiniband/verbs.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#undef ibv_query_port

namespace railyard::host {

namespace {

using nlohmann::json;

#ifdef __APPLE__
constexpr const char* kLibrary = "librdma.dylib";
#else
constexpr const char* kLibrary = "libibverbs.so.1";
#endif

struct Verbs {
  ibv_device** (*list)(int*);
  const char* (*name)(ibv_device*);
  ibv_context* (*open)(ibv_device*);
  int (*close)(ibv_context*);
  int (*port)(ibv_context*, uint8_t, ibv_port_attr*);
  int (*gid)(ibv_context*, uint8_t, int, ibv_gid*);
};

std::string text_of(const ibv_gid& gid) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, gid.raw, text, sizeof text);
  return text;
}

json look_at(const Verbs& verbs, ibv_device* device) {
  json found = {{"name", verbs.name(device)}};
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
    found["gids"] = json::array();
    for (int row = 0; row < port.gid_tbl_len && row < 256; ++row) {
      ibv_gid gid{};
      if (verbs.gid(context, 1, row, &gid) != 0 || text_of(gid) == "::") continue;
      found["gids"].push_back(text_of(gid));
    }
  }
  verbs.close(context);
  return found;
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// On macOS: the interfaces that the Thunderbolt Bridge owns; RDMA needs them for itself.
json bridged() {
  json members = json::array();
#ifdef __APPLE__
  FILE* pipe = popen("/sbin/ifconfig bridge0 2>/dev/null", "r");
  if (!pipe) return members;
  std::array<char, 256> line;
  while (fgets(line.data(), line.size(), pipe)) {
    char name[64];
    if (sscanf(line.data(), " member: %63s", name) == 1) members.push_back(name);
  }
  pclose(pipe);
#endif
  return members;
}

}  // namespace

int inspect() {
  json found = {{"devices", json::array()}, {"bridged", bridged()}};
  Verbs verbs{};
  void* library = dlopen(kLibrary, RTLD_NOW);
  if (!library) {
    const char* reason = dlerror();
    found["error"] = std::string("no verbs library: ") + (reason ? reason : kLibrary);
  } else if (!find(library, "ibv_get_device_list", verbs.list) ||
             !find(library, "ibv_get_device_name", verbs.name) ||
             !find(library, "ibv_open_device", verbs.open) ||
             !find(library, "ibv_close_device", verbs.close) ||
             !find(library, "ibv_query_port", verbs.port) ||
             !find(library, "ibv_query_gid", verbs.gid)) {
    found["error"] = std::string(kLibrary) + " is no verbs library";
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
