#include "device/payload.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace railyard::sim {

Pieces Pieces::listed(const std::byte* body, size_t count) {
  Pieces pieces;
  for (size_t i = 0; i < std::min(count, kMaxPieces); ++i) {
    fabric::layout::Piece piece;
    memcpy(&piece, body + i * sizeof piece, sizeof piece);
    pieces.add(reinterpret_cast<void*>(piece.address), piece.bytes);
  }
  return pieces;
}

uint64_t Pieces::bytes() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < count_; ++i) sum += list_[i].iov_len;
  return sum;
}

void Pieces::limit(uint64_t bytes) {
  size_t kept = 0;
  for (; kept < count_ && bytes > 0; ++kept) {
    list_[kept].iov_len = std::min<uint64_t>(list_[kept].iov_len, bytes);
    bytes -= list_[kept].iov_len;
  }
  count_ = kept;
}

Pieces Pieces::split(uint64_t bytes) {
  Pieces rest;
  uint64_t before = 0;
  for (size_t i = 0; i < count_; ++i) {
    uint64_t kept = std::min<uint64_t>(list_[i].iov_len, bytes - std::min(before, bytes));
    before += list_[i].iov_len;
    if (kept == list_[i].iov_len) continue;
    rest.add(static_cast<std::byte*>(list_[i].iov_base) + kept, list_[i].iov_len - kept);
  }
  limit(bytes);
  return rest;
}

void Pieces::gather_to(std::byte* out) const {
  for (size_t i = 0; i < count_; ++i) {
    memcpy(out, list_[i].iov_base, list_[i].iov_len);
    out += list_[i].iov_len;
  }
}

void Pieces::scatter_from(const std::byte* in) const {
  for (size_t i = 0; i < count_; ++i) {
    memcpy(list_[i].iov_base, in, list_[i].iov_len);
    in += list_[i].iov_len;
  }
}

void Pieces::list_in(std::byte* body) const {
  for (size_t i = 0; i < count_; ++i) {
    fabric::layout::Piece piece{reinterpret_cast<uint64_t>(list_[i].iov_base), list_[i].iov_len};
    memcpy(body + i * sizeof piece, &piece, sizeof piece);
  }
}

void Pieces::flip_a_bit() const {
  if (count_ == 0) return;
  const iovec& piece = list_[count_ / 2];
  static_cast<std::byte*>(piece.iov_base)[piece.iov_len / 2] ^= std::byte{1};
}

void Pieces::copy_from(const Pieces& from) const {
  size_t to = 0;
  uint64_t offset = 0;
  for (size_t i = 0; i < from.count_; ++i) {
    auto* source = static_cast<const std::byte*>(from.list_[i].iov_base);
    for (uint64_t left = from.list_[i].iov_len; left > 0 && to < count_;) {
      uint64_t bytes = std::min<uint64_t>(left, list_[to].iov_len - offset);
      memmove(static_cast<std::byte*>(list_[to].iov_base) + offset, source, bytes);
      source += bytes;
      left -= bytes;
      offset += bytes;
      if (offset == list_[to].iov_len) ++to, offset = 0;
    }
  }
}

size_t last_word_bytes(const std::byte* end, uint64_t bytes) {
  size_t width = 1;
  while (width < sizeof(uint64_t) && 2 * width <= bytes &&
         reinterpret_cast<uintptr_t>(end) % (2 * width) == 0) {
    width *= 2;
  }
  return width;
}

WatchedPlace::WatchedPlace(std::byte* place, uint64_t bytes)
    : end_(place + bytes), width_(last_word_bytes(end_, bytes)) {
  if (bytes > width_) pieces_.add(place, bytes - width_);
  pieces_.add(word_.data(), width_);
}

void WatchedPlace::finish() const {
  auto store = [this]<typename Word>(Word word) {
    memcpy(&word, word_.data(), sizeof word);
    std::atomic_ref(*reinterpret_cast<Word*>(end_ - sizeof word))
        .store(word, std::memory_order_release);
  };
  switch (width_) {
    case 8:
      return store(uint64_t{});
    case 4:
      return store(uint32_t{});
    case 2:
      return store(uint16_t{});
    default:
      return store(uint8_t{});
  }
}

}  // namespace railyard::sim
