// The little of verbs that the variants stand on: one open device, and queue pairs with slots to
// send from and to receive into.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace railyard::faulty {

enum class Transport { uc, rc };

template <auto Close>
struct Closer {
  template <typename T>
  void operator()(T* object) const {
    Close(object);
  }
};

using ContextPointer = std::unique_ptr<ibv_context, Closer<ibv_close_device>>;

// Opens a device by name. Throws WorkerError (device). May block for ever: that is what some
// devices do when they are open already.
ContextPointer open_device(const std::string& name);

// What a queue pair must know about its peer. Goes over the side channel as it is.
struct Address {
  uint32_t queue_pair = 0;
  uint32_t packet = 0;  // the first packet's number
  uint16_t local_id = 0;
  uint8_t gid[16] = {};
};

struct Completion {
  enum class Kind { send, receive };
  Kind kind = Kind::send;
  size_t slot = 0;
  size_t bytes = 0;  // received
};

// One queue pair with a completion queue and registered memory of its own. Slots are counted from
// 0; send slots and receive slots are separate. Every failed verb and every completion in error
// throws WorkerError with the device, the rail, the errno or the status. Used by one thread.
class Endpoint {
 public:
  struct Options {
    Transport transport = Transport::uc;
    size_t slots = 2;  // in each direction
    size_t slot_bytes = 4096;
    uint8_t rnr_retry = 7;     // 7: for ever
    int gid_index = -1;        // -1: look for the one that is IPv4-mapped
    bool reads_status = true;  // of completions
    int peer = -1;             // for errors
    int rail = 0;
  };

  Endpoint(ibv_context* context, std::string device, const Options& options);

  Address address() const;
  // To ready-to-send.
  void connect(const Address& peer);

  std::span<std::byte> send_slot(size_t slot);
  std::span<const std::byte> receive_slot(size_t slot) const;

  void post_send(size_t slot, size_t bytes);
  // `bytes`: how much the message will have. Some devices want the same number of frames on both
  // sides.
  void post_receive(size_t slot, size_t bytes);

  // Does not block.
  std::optional<Completion> poll();

  // Whether a context's device sends by UC only.
  static bool is_thunderbolt(ibv_context* context);

 private:
  [[noreturn]] void fail(const char* verb, int error_number) const;
  uint64_t slot_address(size_t slot) const;
  void choose_gid();

  ibv_context* context_;
  std::string device_;
  Options options_;
  ibv_port_attr port_{};
  ibv_gid gid_{};
  uint8_t gid_index_ = 0;

  // In the order of their making, so that they go in the reverse.
  std::unique_ptr<std::byte[], Closer<free>> memory_;
  std::unique_ptr<ibv_pd, Closer<ibv_dealloc_pd>> domain_;
  std::unique_ptr<ibv_mr, Closer<ibv_dereg_mr>> region_;
  std::unique_ptr<ibv_cq, Closer<ibv_destroy_cq>> completions_;
  std::unique_ptr<ibv_qp, Closer<ibv_destroy_qp>> queue_pair_;
};

}  // namespace railyard::faulty
