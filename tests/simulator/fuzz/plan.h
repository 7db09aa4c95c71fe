// What a run does: a cluster, connections, and steps, all of it drawn from a seed and from nothing
// else, so that the same seed is the same run and steps may be left out without changing the
// others.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <string>
#include <vector>

namespace railyard::fuzz {

// Payloads, and the memory that a connection's peer may write and read.
inline constexpr uint32_t kWindowBytes = 128 * 1024;
inline constexpr uint32_t kBoundBytes = kWindowBytes / 2;           // of Key::bound
inline constexpr uint32_t kMostDatagram = 1024, kHeaderBytes = 40;  // the global route header's
inline constexpr uint32_t kMostPieces = 3;

// The keys with which a request names memory.
enum class Key : uint8_t {
  good,
  read_only,  // a region that may not be written
  stale,      // of a region that is gone
  foreign,    // of another protection domain
  outside,    // a good one, and an address beyond its end
  bound,      // of a memory window over the first half; remote alone
};
inline constexpr int kKeys = 6, kLocalKeys = 5;

// Whether a datagram that names this key has the queue key of its target.
inline bool opens(Key key) { return key == Key::good || key == Key::bound; }

enum class Act : uint8_t {
  send,
  receive,
  poll,       // every completion queue of a rank
  query,      // a queue pair's state
  misstep,    // a move without what it needs, to `state`
  fail,       // a move to ERR
  reset,      // a move to RESET
  rereg,      // the memory that the peer writes is registered anew, in place
  destroy,    // of a queue pair; the next reconnect makes a new one
  reconnect,  // both ends anew, from RESET to RTS
  settle,     // waits for all that must come, and compares memory
  unplug,     // the cable of one end
  plug,
  swap,  // the plugs of two cables, at one end's rank
};

struct Step {
  int number;
  Act act;
  int connection;
  int side;  // 0 or 1: which of the connection's ends
  ibv_wr_opcode opcode;
  uint32_t list;  // how many requests are posted at once
  int bad;        // which send of them cannot be posted; -1: none
  uint32_t pieces;
  uint32_t sizes[kMostPieces];
  Key local, remote;
  uint32_t offset;  // in the peer's window
  bool inlined, signaled, solicited;
  bool writable;  // of rereg: by the peer
  bool careful;   // what is on its way is awaited before a step that breaks something
  ibv_qp_state state;
  uint32_t immediate;
  uint64_t seed;  // of the payload

  uint32_t bytes() const;
};

inline constexpr uint32_t kMostOfAList = 4;

// The i-th of a list.
Step element(const Step& step, uint32_t i);

struct EndPlan {
  int rank;
  uint32_t sends, receives;
  bool signal_all;
  bool own_queue;  // a completion queue of its own
  bool channel;    // with a completion channel
  bool shared;     // it takes receives from a shared receive queue
  uint8_t rnr_retries;
  uint32_t inline_bytes;
  bool apart;   // of XRC: that queue is another process's of the node, in the same domain
  bool opened;  // and that process has a share in the receiver (ibv_open_qp)
};

// XRC leads one way, from end 0 (type XRC_SEND) to end 1, which has a receiver and a shared receive
// queue.
struct ConnectionPlan {
  ibv_qp_type type;
  EndPlan ends[2];
};

struct Plan {
  uint64_t seed;
  std::string profile;
  int ranks;
  std::vector<ConnectionPlan> connections;
  std::vector<Step> steps;
};

// Throws std::invalid_argument for a profile that the model has no rules of.
Plan make_plan(uint64_t seed, int steps, const std::string& profile);

// One line without its end.
std::string describe(const ConnectionPlan& connection);
std::string describe(const Step& step, const Plan& plan);

}  // namespace railyard::fuzz
