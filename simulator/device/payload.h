// Lists of pieces of memory, and copies between them.
#pragma once

#include <infiniband/verbs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

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

// Where in its slot a payload lies that travels in it: a send names no remote memory, and begins in
// the place for that, so that more of it fits the first cache line.
inline size_t payload_offset(uint8_t opcode) {
  bool sends = opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
  return sends ? offsetof(fabric::layout::Slot, remote_address) : fabric::layout::kSlotHeaderBytes;
}

}  // namespace railyard::sim
