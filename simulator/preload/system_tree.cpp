#include "system_tree.h"

#include <infiniband/verbs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <filesystem>

#include "fabric/topology.h"

namespace railyard::preload {

namespace {

namespace fs = std::filesystem;
namespace layout = fabric::layout;

__attribute__((format(printf, 1, 2))) std::string text(const char* format, ...) {
  char buffer[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

// A directory that is being filled.
class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) { fs::create_directories(path_); }

  Folder in(const std::string& name) const { return Folder(path_ + "/" + name); }

  void file(const std::string& name, const std::string& value) const {
    std::string path = path_ + "/" + name;
    FILE* out = fopen(path.c_str(), "we");
    bool written = out && fprintf(out, "%s\n", value.c_str()) > 0;
    if (out && fclose(out) != 0) written = false;
    if (!written) throw fs::filesystem_error(path, std::error_code(errno, std::system_category()));
  }

  void link(const std::string& name, const std::string& to) const {
    fs::create_symlink(to, path_ + "/" + name);
  }

 private:
  std::string path_;
};

std::string guid_text(uint64_t guid) {
  return text("%04x:%04x:%04x:%04x", static_cast<unsigned>(guid >> 48 & 0xffff),
              static_cast<unsigned>(guid >> 32 & 0xffff),
              static_cast<unsigned>(guid >> 16 & 0xffff), static_cast<unsigned>(guid & 0xffff));
}

std::string gid_text(const layout::Gid& gid) {
  std::string result;
  for (int i = 0; i < 16; i += 2) {
    result += text("%s%02x%02x", i == 0 ? "" : ":", gid.raw[i], gid.raw[i + 1]);
  }
  return result;
}

void write_port(const Folder& folder, const Home& home, uint32_t index) {
  const layout::Port& port = home.segment.port(index);
  bool infiniband = home.segment.profile().link_layer == IBV_LINK_LAYER_INFINIBAND;
  bool active = fabric::port_active(home.segment, static_cast<int32_t>(index));
  folder.file("state", active ? "4: ACTIVE" : "1: DOWN");
  folder.file("phys_state", active ? "5: LinkUp" : "3: Disabled");
  folder.file("rate", "200 Gb/sec (4X HDR)");
  folder.file("lid", text("0x%x", port.lid));
  folder.file("sm_lid", infiniband ? "0x1" : "0x0");
  folder.file("lid_mask_count", "0");
  folder.file("sm_sl", "0");
  folder.file("cap_mask", text("0x%08x", infiniband ? IBV_PORT_SYS_IMAGE_GUID_SUP : 0));
  folder.file("link_layer", infiniband ? "InfiniBand" : "Ethernet");
  folder.in("pkeys").file("0", "0xffff");
  Folder gids = folder.in("gids"), attributes = folder.in("gid_attrs");
  Folder types = attributes.in("types"), interfaces = attributes.in("ndevs");
  for (uint32_t i = 0; i < layout::kGidsPerPort; ++i) {
    const layout::Gid& gid = port.gids[i];
    gids.file(std::to_string(i), gid_text(gid));
    if (!gid.present) continue;
    types.file(std::to_string(i), gid.type == IBV_GID_TYPE_ROCE_V2 ? "RoCE v2" : "IB/RoCE v1");
    interfaces.file(std::to_string(i), "lo");  // the only interface that every machine has
  }
}

void write_device(const Folder& root, const Home& home, uint32_t number) {
  uint32_t index = home.record().first_device + number;
  const layout::Device& device = home.segment.device(index);
  const fabric::Profile& profile = home.segment.profile();
  std::string name = device.name, uverbs = text("uverbs%u", number), umad = text("umad%u", number);
  std::string bus = text("devices/railyard/%04x:00:00.0", number);

  Folder card = root.in(bus);
  card.file("vendor", text("0x%04x", profile.vendor_id));
  card.file("device", text("0x%04x", profile.vendor_part_id));
  card.file("numa_node", "-1");
  card.file("local_cpus", "ffffffff");
  card.file("current_link_speed", "16.0 GT/s PCIe");
  card.file("current_link_width", "16");

  Folder verbs = card.in("infiniband/" + name);
  verbs.file("node_type", "1: CA");
  verbs.file("node_guid", guid_text(device.guid));
  verbs.file("sys_image_guid", guid_text(device.guid));
  verbs.file("node_desc", home.record().name);
  verbs.file("fw_ver", profile.firmware);
  verbs.file("hw_rev", text("%x", profile.hardware_version));
  verbs.file("hca_type", text("MT%u", profile.vendor_part_id));
  verbs.file("board_id", "RAILYARD");
  verbs.link("device", "../..");
  write_port(verbs.in("ports/1"), home, device.port);

  Folder user = card.in("infiniband_verbs/" + uverbs);
  user.file("ibdev", name);
  user.file("abi_version", "1");
  user.file("dev", text("%u:%u", kUverbsMajor, kUverbsFirstMinor + number));
  user.link("device", "../..");

  Folder management = card.in("infiniband_mad/" + umad);
  management.file("ibdev", name);
  management.file("port", "1");
  management.link("device", "../..");

  root.in("class/infiniband").link(name, "../../" + bus + "/infiniband/" + name);
  root.in("class/infiniband_verbs").link(uverbs, "../../" + bus + "/infiniband_verbs/" + uverbs);
  root.in("class/infiniband_mad").link(umad, "../../" + bus + "/infiniband_mad/" + umad);
  root.in("dev/infiniband").file(uverbs, "");
}

}  // namespace

bool write_system_tree(const Home& home, const std::string& place) {
  std::error_code error;
  std::string draft = place + "." + std::to_string(getpid());
  try {
    Folder root(draft);
    for (uint32_t i = 0; i < home.record().device_count; ++i) write_device(root, home, i);
    root.in("class/infiniband_verbs").file("abi_version", "6");
    root.in("class/infiniband_mad").file("abi_version", "5");
    Folder manager = root.in("class/misc/rdma_cm");
    manager.file("abi_version", "4");
    manager.file("dev", text("%u:%u", kRdmaCmMajor, kRdmaCmMinor));
    root.in("dev/infiniband").file("rdma_cm", "");
  } catch (const fs::filesystem_error& failure) {
    fs::remove_all(draft, error);
    errno = failure.code().value();
    return false;
  }
  if (rename(draft.c_str(), place.c_str()) == 0) return true;
  int reason = errno;
  fs::remove_all(draft, error);  // another process of this node was first
  errno = reason;
  return reason == ENOTEMPTY || reason == EEXIST;
}

}  // namespace railyard::preload
