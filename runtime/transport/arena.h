// Memory for what lives as long as one operation: nothing is asked of the system once an operation
// of the kind has run.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace railyard {

class Arena {
 public:
  // Room for `count` objects, valid until reset().
  template <typename T>
  T* take(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kAlignment);
    return static_cast<T*>(take_bytes(count * sizeof(T)));
  }

  void reset() {
    if (blocks_.size() > 1) {
      // One block for all of it next time.
      size_t all = 0;
      for (const Block& block : blocks_) all += block.bytes;
      blocks_.clear();
      add(all);
    }
    used_ = 0;
  }

 private:
  static constexpr size_t kAlignment = alignof(std::max_align_t);
  static constexpr size_t kLeastBytes = 4096;

  struct Block {
    std::unique_ptr<std::byte[]> memory;
    size_t bytes;
  };

  void* take_bytes(size_t bytes) {
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (blocks_.empty() || used_ + bytes > blocks_.back().bytes) {
      add(bytes);
      used_ = 0;
    }
    void* result = blocks_.back().memory.get() + used_;
    used_ += bytes;
    return result;
  }
  void add(size_t bytes) {
    bytes = bytes < kLeastBytes ? kLeastBytes : bytes;
    blocks_.push_back({std::unique_ptr<std::byte[]>(new std::byte[bytes]), bytes});
  }

  std::vector<Block> blocks_;
  size_t used_ = 0;  // of the last block
};

// A list of known greatest length in an arena.
template <typename T>
class List {
 public:
  List() = default;
  List(Arena& arena, size_t most) : begin_(arena.take<T>(most)), end_(begin_) {}

  template <typename... Arguments>
  T& add(Arguments&&... arguments) {
    return *new (end_++) T{std::forward<Arguments>(arguments)...};
  }

  T* begin() const { return begin_; }
  T* end() const { return end_; }
  size_t size() const { return static_cast<size_t>(end_ - begin_); }
  T& operator[](size_t i) const { return begin_[i]; }

 private:
  T* begin_ = nullptr;
  T* end_ = nullptr;
};

}  // namespace railyard
