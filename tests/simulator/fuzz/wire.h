// What the controller asks of a rank, and what the rank answers: one record each, over a socket
// pair.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>

#include "plan.h"

namespace railyard::fuzz {

enum class Ask : uint8_t {
  create,
  open,  // a share in an XRC receiver, by its number
  connect,
  send,
  receive,
  poll,
  query,
  move,
  destroy,
  rereg,
  fill,
  digest,
  leave
};

struct EndInfo {
  uint32_t number;
  uint16_t lid;
  ibv_gid gid;
  uint64_t window;       // its address
  uint32_t keys[kKeys];  // to it, by Key
  ibv_qp_cap granted;
  uint32_t shared_number;  // of XRC: its shared receive queue's
};

// What one process makes of an end.
enum class Part : uint8_t {
  whole,
  pair,  // of an end whose receives are taken apart from its receiver
  rest,
};

struct Command {
  Ask ask;
  Part part;   // of create
  int slot;    // the queue pair: its connection's number
  int device;  // of create
  ibv_qp_type type;
  EndPlan end;
  EndInfo peer;  // of connect; of open, whose share it is
  uint64_t id;
  Step step;      // of posts
  uint32_t room;  // of receives: the same as step.bytes()
  ibv_qp_state state;
  uint64_t remote_address;
  uint32_t remote_key;
  uint64_t seed;  // of fill
};

struct Completion {
  uint64_t id;
  uint32_t status, opcode, bytes, immediate, flags, number;
  uint64_t digest;  // of what arrived: a receive's or a read's bytes
  bool intact;      // nothing beyond them was touched
};

struct Reply {
  static constexpr int kMost = 24;
  int result;  // 0 or an errno
  ibv_qp_state state;
  uint64_t digest;
  EndInfo info;
  int count;  // of completions, or of the sends of a list that were taken
  Completion completions[kMost];
};

// Payloads follow from a seed and their place; digests are FNV-1a's over 64 bits.
inline uint8_t pattern(uint64_t seed, uint64_t at) {
  uint64_t mixed = (seed ^ at / 8 * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  return static_cast<uint8_t>(mixed >> (8 * (at % 8)));
}
inline constexpr uint64_t kDigestStart = 0xcbf29ce484222325;
inline uint64_t digest_byte(uint64_t digest, uint8_t byte) {
  return (digest ^ byte) * 0x100000001b3;
}
inline uint64_t digest_of(const uint8_t* bytes, size_t count) {
  uint64_t digest = kDigestStart;
  for (size_t i = 0; i < count; ++i) digest = digest_byte(digest, bytes[i]);
  return digest;
}
inline uint64_t digest_of_pattern(uint64_t seed, size_t count) {
  uint64_t digest = kDigestStart;
  for (size_t i = 0; i < count; ++i) digest = digest_byte(digest, pattern(seed, i));
  return digest;
}

}  // namespace railyard::fuzz
