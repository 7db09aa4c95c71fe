// A first-in-first-out queue of known greatest length that never allocates after its construction.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace railyard {

template <typename T>
class RingQueue {
 public:
  explicit RingQueue(uint32_t most) : items_(std::bit_ceil(most)) {}

  bool empty() const { return begin_ == end_; }
  uint32_t size() const { return end_ - begin_; }
  const T& front() const { return items_[begin_ & mask()]; }
  const T& operator[](uint32_t i) const { return items_[(begin_ + i) & mask()]; }
  void push(const T& item) { items_[end_++ & mask()] = item; }
  T pop() { return items_[begin_++ & mask()]; }
  void clear() { begin_ = end_; }

 private:
  uint32_t mask() const { return static_cast<uint32_t>(items_.size()) - 1; }

  std::vector<T> items_;
  uint32_t begin_ = 0, end_ = 0;
};

}  // namespace railyard
