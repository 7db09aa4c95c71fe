#include "verbs/device.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "verbs/library.h"
#include "verbs/verb_error.h"

namespace railyard {

namespace {

// The list that ibv_get_device_list returns; devices stay valid while it lives.
class DeviceList {
 public:
  DeviceList() {
    errno = 0;
    list_ = library().get_device_list(&count_);
    if (!list_) {
      throw verb_error(ErrorCode::device, "ibv_get_device_list", errno, {"RDMA"},
                       "is the driver there?");
    }
  }
  ~DeviceList() { library().free_device_list(list_); }
  DeviceList(const DeviceList&) = delete;
  DeviceList& operator=(const DeviceList&) = delete;

  ibv_device* find(const std::string& name) const {
    for (int i = 0; i < count_; ++i) {
      if (name == library().get_device_name(list_[i])) return list_[i];
    }
    return nullptr;
  }
  std::string names() const {
    std::string names;
    for (int i = 0; i < count_; ++i) {
      names += fmt::format("{}{}", i ? ", " : "", library().get_device_name(list_[i]));
    }
    return names;
  }

 private:
  ibv_device** list_ = nullptr;
  int count_ = 0;
};

struct Opened {
  ibv_context* context = nullptr;
  int error_number = 0;
};

// Calls ibv_open_device in a thread of its own. When that never returns, the thread and the list
// stay behind: there is no way to take the call back.
Opened open_within(const std::string& name, std::chrono::milliseconds deadline) {
  auto list = std::make_shared<DeviceList>();
  ibv_device* device = list->find(name);
  if (!device) {
    ErrorFields fields = fields_of("ibv_get_device_list", {name});
    std::string names = list->names();
    throw Error(ErrorCode::device,
                names.empty()
                    ? fmt::format("there is no device {}: this machine shows none", name)
                    : fmt::format("there is no device {}: this machine has {}", name, names),
                fields);
  }
  auto result = std::make_shared<std::promise<Opened>>();
  auto opened = result->get_future();
  std::thread opener([list, device, result] {
    errno = 0;
    ibv_context* context = library().open_device(device);
    result->set_value({context, errno});
  });
  if (opened.wait_for(deadline) != std::future_status::ready) {
    opener.detach();
    ErrorFields fields = fields_of("ibv_open_device", {name});
    fields.limit = "contexts of the device";
    fields.asked = 2;
    fields.granted = 1;
    throw Error(ErrorCode::limit_reached,
                fmt::format("{}: ibv_open_device has not returned within {} ms; another process or "
                            "library holds the device's only context, end it",
                            name, deadline.count()),
                fields);
  }
  opener.join();
  return opened.get();
}

bool is_zero(const ibv_gid& gid) {
  return std::all_of(std::begin(gid.raw), std::end(gid.raw),
                     [](uint8_t byte) { return byte == 0; });
}

bool is_ipv4_mapped(const ibv_gid& gid) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(gid.raw, kPrefix, sizeof(kPrefix)) == 0;
}

bool is_link_local(const ibv_gid& gid) { return gid.raw[0] == 0xfe && (gid.raw[1] & 0xc0) == 0x80; }

}  // namespace

std::shared_ptr<Device> Device::open(const std::string& name, std::chrono::milliseconds deadline) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Device>> open_devices;
  std::lock_guard lock(mutex);
  if (auto device = open_devices[name].lock()) return device;
  Opened opened = open_within(name, deadline);
  if (!opened.context) {
    throw verb_error(ErrorCode::device, "ibv_open_device", opened.error_number, {name},
                     opened.error_number == EBUSY ? "another process holds the device" : "");
  }
  std::shared_ptr<Device> device(new Device(name, opened.context));
  device->read_limits();
  device->read_port();
  device->find_gid();
  errno = 0;
  device->domain_ = library().alloc_pd(device->context_);
  if (!device->domain_) {
    throw verb_error(ErrorCode::device, "ibv_alloc_pd", errno, {name},
                     "the port may be down, or the device's protection domains are used up");
  }
  open_devices[name] = device;
  return device;
}

Device::Device(std::string name, ibv_context* context)
    : name_(std::move(name)), context_(context) {}

Device::~Device() {
  if (domain_) library().dealloc_pd(domain_);
  library().close_device(context_);
}

void Device::read_limits() {
  ibv_device_attr limits{};
  if (int error = errno_of(library().query_device(context_, &limits))) {
    throw verb_error(ErrorCode::device, "ibv_query_device", error, {name_});
  }
  max_depth_ = static_cast<uint32_t>(std::max(limits.max_qp_wr, 1));
}

void Device::read_port() {
  // A library with an older and shorter ibv_port_attr leaves the rest as it is.
  std::memset(&port_, 0, sizeof(port_));
  if (int error = errno_of(library().query_port(context_, kPort, &port_))) {
    throw verb_error(ErrorCode::device, "ibv_query_port", error, {name_});
  }
  if (port_.state == IBV_PORT_ACTIVE) return;
  ErrorFields fields = fields_of("ibv_query_port", {name_});
  throw Error(
      ErrorCode::device,
      fmt::format("{}: port down (state {}); check the cable, that the interface is up, and "
                  "that no Thunderbolt bridge owns it",
                  name_, static_cast<int>(port_.state)),
      fields);
}

// IPv4-mapped entries come first, because Apple's devices publish one when the interface has an
// address and then talk by it; the index differs between machines.
void Device::find_gid() {
  int best_score = 0;
  for (int index = 0; index < port_.gid_tbl_len; ++index) {
    ibv_gid gid{};
    if (library().query_gid(context_, kPort, index, &gid) != 0 || is_zero(gid)) continue;
    int score = is_ipv4_mapped(gid) ? 3 : is_link_local(gid) ? 2 : 1;
    if (score <= best_score) continue;
    best_score = score;
    address_ = {gid, index, port_.lid};
  }
  if (best_score > 0) return;
  ErrorFields fields = fields_of("ibv_query_gid", {name_});
  throw Error(ErrorCode::device,
              fmt::format("{}: none of its {} GIDs is set; give the interface an address", name_,
                          port_.gid_tbl_len),
              fields);
}

std::optional<Device::Clock::time_point> Device::down_since() {
  std::lock_guard lock(events_mutex_);
  pollfd pending{context_->async_fd, POLLIN, 0};
  while (library().get_async_event && ::poll(&pending, 1, 0) == 1 && (pending.revents & POLLIN)) {
    ibv_async_event event{};
    if (library().get_async_event(context_, &event) != 0) break;
    if (event.event_type == IBV_EVENT_PORT_ACTIVE) {
      down_since_.reset();
    } else if (event.event_type == IBV_EVENT_PORT_ERR ||
               event.event_type == IBV_EVENT_DEVICE_FATAL) {
      down_since_ = Clock::now();
    }
    if (library().ack_async_event) library().ack_async_event(&event);
  }
  return down_since_;
}

bool Device::is_thunderbolt() const { return port_.link_layer == kLinkLayerThunderbolt; }

uint32_t Device::depth_of(size_t message_bytes) const {
  if (!is_thunderbolt()) return 1;
  return static_cast<uint32_t>((message_bytes + kFrameBytes - 1) / kFrameBytes);
}

}  // namespace railyard
