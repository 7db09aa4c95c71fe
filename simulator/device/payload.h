// Lists of pieces of memory, and copies between them.
#pragma once

#include <infiniband/verbs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "fabric/layout.h"

namespace railyard::sim {

inline constexpr size_t kMaxPieces = 64;

// Pieces of this process's memory, or (addresses only) of another's.
class Pieces {
 public:
  void add(void* address, uint64_t bytes) { list_[count_++] = {address, bytes}; }
  // Those that a slot's body lists.
  static Pieces listed(const std::byte* body, size_t count);

  size_t count() const { return count_; }
  uint64_t bytes() const;
  const iovec* data() const { return list_.data(); }

  // Cuts the list off after `bytes`.
  void limit(uint64_t bytes);
  // The same; returns the rest.
  Pieces split(uint64_t bytes);

  void gather_to(std::byte* out) const;
  void scatter_from(const std::byte* in) const;
  void list_in(std::byte* body) const;

  // Damages the middle byte.
  void flip_a_bit() const;

  // Copies `from` here; both have the same number of bytes.
  void copy_from(const Pieces& from) const;

 private:
  std::array<iovec, kMaxPieces> list_;
  size_t count_ = 0;
};

template <typename Word>
void copy_ends(std::byte* to, const std::byte* from, size_t bytes) {
  Word first, last;
  memcpy(&first, from, sizeof first);
  memcpy(&last, from + bytes - sizeof last, sizeof last);
  memcpy(to, &first, sizeof first);
  memcpy(to + bytes - sizeof last, &last, sizeof last);
}

// memcpy for what is nearly always a few bytes: calling it takes longer than copying them.
inline void copy_few(std::byte* to, const std::byte* from, size_t bytes) {
  constexpr size_t kFew = 512;
  struct Sixteen {
    uint64_t words[2];
  };
  if (bytes > kFew) {
    memcpy(to, from, bytes);
  } else if (bytes > 2 * sizeof(Sixteen)) {
    // By so many as the processor passes on from a store to a load, though the store be longer.
    const std::byte* end = from + bytes - sizeof(Sixteen);
    for (; from < end; from += sizeof(Sixteen), to += sizeof(Sixteen)) {
      memcpy(to, from, sizeof(Sixteen));
      asm volatile("" : "+r"(from));  // or it becomes a call
    }
    memcpy(to - (from - end), end, sizeof(Sixteen));
  } else if (bytes >= sizeof(Sixteen)) {
    copy_ends<Sixteen>(to, from, bytes);
  } else if (bytes >= sizeof(uint64_t)) {
    copy_ends<uint64_t>(to, from, bytes);
  } else if (bytes >= sizeof(uint32_t)) {
    copy_ends<uint32_t>(to, from, bytes);
  } else {
    for (size_t i = 0; i < bytes; ++i) to[i] = from[i];
  }
}

// How long the last word of so many bytes that end there is: as long as it lies aligned, up to 8.
size_t last_word_bytes(const std::byte* end, uint64_t bytes);

// A place that a program may watch for the end of a write. Memory models that reorder stores
// (arm64: Arm ARM DDI 0487, B2.3) promise nothing about a copy's order, while adapters write a
// message's end last, which ib_write_lat, rsockets and others rely on: so the last word waits here
// until all else is in its place, and goes there whole.
class WatchedPlace {
 public:
  WatchedPlace(std::byte* place, uint64_t bytes);
  WatchedPlace(const WatchedPlace&) = delete;
  WatchedPlace& operator=(const WatchedPlace&) = delete;

  // Where to bring the bytes to.
  const Pieces& pieces() const { return pieces_; }
  // Those have been brought: shows the last of them.
  void finish() const;

 private:
  std::byte* end_;
  size_t width_;  // of the last word
  alignas(8) std::array<std::byte, 8> word_{};
  Pieces pieces_;
};

// Where in its slot a payload lies that travels in it: a send names no remote memory, and begins in
// the place for that, so that more of it fits the first cache line.
inline size_t payload_offset(uint8_t opcode) {
  bool sends = opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
  return sends ? offsetof(fabric::layout::Slot, remote_address) : fabric::layout::kSlotHeaderBytes;
}

}  // namespace railyard::sim
