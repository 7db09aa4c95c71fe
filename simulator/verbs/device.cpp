// Devices: what the node has, before anything is open.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "device/attachment.h"
#include "device/context.h"
#include "device/gate.h"
#include "verbs/byte_order.h"
#include "verbs/export.h"
#include "verbs/operations.h"

#undef ibv_get_device_list

namespace railyard::sim {

namespace {

// rdma-core's providers compare the word after the public part with the address of their operations to
// see whether a device is theirs: it is readable, and nobody's.
struct Device : ibv_device {
  const void* operations = nullptr;
  std::byte private_part[248] = {};
  uint32_t index = 0;  // in the fabric
};

// Made once: programs compare the addresses from call to call.
const std::vector<Device*>& devices_of(const Attachment& attachment) {
  static std::mutex mutex;
  static const Attachment* made_for = nullptr;
  static auto& devices = *new std::vector<Device*>;  // never destroyed: programs may ask at exit
  std::lock_guard lock(mutex);
  if (made_for == &attachment) return devices;
  made_for = &attachment;
  devices.clear();
  const layout::Node& node = attachment.node();
  for (uint32_t i = 0; i < node.device_count; ++i) {
    auto* device = new Device;
    device->index = node.first_device + i;
    const layout::Device& record = attachment.segment().device(device->index);
    device->node_type = IBV_NODE_CA;
    device->transport_type = IBV_TRANSPORT_IB;
    snprintf(device->name, sizeof device->name, "%s", record.name);
    snprintf(device->dev_name, sizeof device->dev_name, "uverbs%u", i);
    snprintf(device->dev_path, sizeof device->dev_path, "/sys/class/infiniband_verbs/uverbs%u", i);
    snprintf(device->ibdev_path, sizeof device->ibdev_path, "/sys/class/infiniband/%s", record.name);
    devices.push_back(device);
  }
  return devices;
}

Device& from(ibv_device* device) { return *static_cast<Device*>(device); }

}  // namespace

}  // namespace railyard::sim

using namespace railyard::sim;

RAILYARD_VERB ibv_device** ibv_get_device_list(int* count) {
  Attachment* attachment = Attachment::current();
  std::vector<ibv_device*> found;
  if (attachment) {
    int error = attachment->join();
    if (error == 0) error = pass_gate(*attachment, Verb::get_device_list);
    if (error != 0) {
      if (count) *count = 0;
      errno = error;
      return nullptr;
    }
    for (auto* device : devices_of(*attachment)) found.push_back(device);
  }
  if (count) *count = static_cast<int>(found.size());
  auto** list = static_cast<ibv_device**>(calloc(found.size() + 1, sizeof(ibv_device*)));
  if (list && !found.empty()) memcpy(list, found.data(), found.size() * sizeof(ibv_device*));
  return list;
}

RAILYARD_VERB void ibv_free_device_list(ibv_device** list) { free(list); }

RAILYARD_VERB const char* ibv_get_device_name(ibv_device* device) { return device->name; }

RAILYARD_VERB __be64 ibv_get_device_guid(ibv_device* device) {
  const Attachment* attachment = Attachment::current();
  return attachment ? network_order(attachment->segment().device(from(device).index).guid) : 0;
}

RAILYARD_VERB int ibv_get_device_index(ibv_device* device) {
  return static_cast<int>(from(device).index);
}

RAILYARD_VERB ibv_context* ibv_open_device(ibv_device* device) {
  Attachment* attachment = Attachment::current();
  if (!attachment) return errno = ENODEV, nullptr;
  if (int error = attachment->join()) return errno = error, nullptr;
  if (int error = pass_gate(*attachment, Verb::open_device)) return errno = error, nullptr;
  Context* context = Context::open(*attachment, from(device).index, device);
  if (!context) return nullptr;
  install_operations(*context);
  return context->face();
}

RAILYARD_VERB int ibv_close_device(ibv_context* face) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::close_device)) return error;
  delete &context;
  return 0;
}

// fork() needs no help: registered memory is never pinned, and a child attaches anew.
RAILYARD_VERB int ibv_fork_init() { return 0; }
RAILYARD_VERB int ibv_dontfork_range(void*, size_t) { return 0; }
RAILYARD_VERB int ibv_dofork_range(void*, size_t) { return 0; }
RAILYARD_VERB ibv_fork_status ibv_is_fork_initialized() { return IBV_FORK_UNNEEDED; }
