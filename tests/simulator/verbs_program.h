// The verbs in a few words: what a test's program on a node is made of. Everything here goes
// through the drop-in library, as any program would; a call that a test does not expect to fail
// throws.
#pragma once

#include <infiniband/verbs.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace railyard::test {

using Milliseconds = std::chrono::milliseconds;

// Longer than anything takes, shorter than the guard of a test.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr Milliseconds kPatience{25'000};  // each copied byte is looked at
#else
inline constexpr Milliseconds kPatience{10'000};
#endif

// What a queue pair tells its peer.
struct Address {
  uint32_t number;
  uint16_t lid;
  ibv_gid gid;
};

// What the owner of a buffer tells those who write and read it.
struct Window {
  uint64_t address;
  uint32_t key;
};

// An open device of this node and a protection domain.
class Program {
 public:
  explicit Program(int device = 0);
  explicit Program(const std::string& device);
  Program(const Program&) = delete;
  ~Program();

  ibv_context* context = nullptr;
  ibv_pd* domain = nullptr;

  ibv_device_attr device_attributes() const;
  ibv_port_attr port_attributes() const;
  // The address that peers use: GID index 1 where there is one, else 0.
  int gid_index() const;
  ibv_gid gid(int index) const;

 private:
  void open(ibv_device* device);
};

// Registered memory that begins at a page.
class Buffer {
 public:
  static constexpr int kAllAccess =
      IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

  Buffer(Program& program, size_t bytes, int access = IBV_ACCESS_LOCAL_WRITE);
  // Of memory that was mapped, which it takes over.
  Buffer(Program& program, uint8_t* memory, size_t bytes, int access);
  Buffer(const Buffer&) = delete;
  ~Buffer();

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  ibv_mr* region() const { return region_; }
  Window window() const { return {reinterpret_cast<uint64_t>(data_), region_->rkey}; }

  ibv_sge piece(size_t offset, size_t bytes) const;
  ibv_sge all() const { return piece(0, bytes_); }

  // Bytes that follow from a seed and their place.
  void fill(uint64_t seed, size_t offset = 0, size_t bytes = SIZE_MAX);
  bool holds(uint64_t seed, size_t offset = 0, size_t bytes = SIZE_MAX) const;

 private:
  size_t bytes_;
  uint8_t* data_;
  ibv_mr* region_;
};

// A completion queue.
class Queue {
 public:
  explicit Queue(Program& program, int entries = 256, ibv_comp_channel* channel = nullptr);
  Queue(const Queue&) = delete;
  ~Queue();

  ibv_cq* get() const { return queue_; }

  // The next completion; a failure of the test and status GENERAL_ERR when none comes.
  ibv_wc next(Milliseconds patience = kPatience);
  std::vector<ibv_wc> next(size_t count, Milliseconds patience = kPatience);
  // Whether nothing comes for so long.
  bool quiet(Milliseconds time = Milliseconds(30));

 private:
  ibv_cq* queue_;
};

struct PairOptions {
  ibv_qp_type type = IBV_QPT_RC;
  uint32_t sends = 64, receives = 64;
  uint32_t pieces = 1;
  uint32_t inline_bytes = 0;
  bool signal_all = true;
  unsigned access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
  uint8_t timeout = 16;  // 4.096 us * 2^16: long enough for a peer that is still on its way to RTR
  uint8_t retries = 7;
  uint8_t rnr_retries = 7;  // 7: for ever
  uint8_t rnr_timer = 1;    // 10 us
  ibv_srq* shared = nullptr;
  uint32_t qkey = 0x11111111;  // of datagrams
};

// What is sent beside the bytes.
struct Request {
  uint64_t id = 0;
  ibv_wr_opcode opcode = IBV_WR_SEND;
  unsigned flags = 0;
  uint32_t immediate = 0;
  Window to = {};  // RDMA and atomic operations
  uint64_t compare_add = 0, swap = 0;
  ibv_ah* handle = nullptr;  // datagrams
  uint32_t number = 0, qkey = 0x11111111;
};

// A queue pair.
class Pair {
 public:
  Pair(Program& program, Queue& sends, Queue& receives, PairOptions options = {});
  Pair(Program& program, Queue& both, PairOptions options = {})
      : Pair(program, both, both, options) {}
  Pair(const Pair&) = delete;
  ~Pair();

  ibv_qp* get() const { return pair_; }
  uint32_t number() const { return pair_->qp_num; }
  Address address() const;
  ibv_qp_state state() const;
  const ibv_qp_cap& granted() const { return granted_; }

  // The moves with what they need; 0 or an errno.
  int to_init();
  int to_rtr(const Address& peer);
  int to_rts();
  int to(ibv_qp_state state);
  // What the moves set, for tests that leave something out.
  ibv_qp_attr attributes(ibv_qp_state state, const Address& peer = {}) const;
  int mask(ibv_qp_state state) const;

  // From RESET to RTS; datagrams need no peer.
  void connect(const Address& peer = {});

  // 0 or an errno.
  int send(const std::vector<ibv_sge>& pieces, const Request& request = {});
  int receive(const std::vector<ibv_sge>& pieces, uint64_t id = 0);

 private:
  Program& program_;
  PairOptions options_;
  ibv_qp* pair_;
  ibv_qp_cap granted_;
};

// Two queue pairs of one process on one port, talking to each other.
struct LocalPair {
  explicit LocalPair(Program& program, PairOptions options = {});

  Queue left_queue, right_queue;
  Pair left, right;
};

// An XRC domain of its own (descriptor -1) or of a file, and a shared receive queue of one, with a
// receive of one piece each; nullptr and errno.
ibv_xrcd* open_domain(Program& program, int descriptor, int flags);
ibv_srq* create_extended_queue(Program& program, ibv_xrcd* domain, Queue& completions,
                               uint32_t receives);

}  // namespace railyard::test
