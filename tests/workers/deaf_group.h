// A group in which nothing arrives from others: every rank is left with its own.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "railyard/group.h"

namespace railyard::rank {

class DeafGroup : public Group {
 public:
  DeafGroup(int rank, int size) : rank_(rank), size_(size) {}

  // What was called with how many bytes: "all_sum 28672".
  std::vector<std::string> calls;
  // Done to what a sum gives, if set.
  std::function<void(void* output, size_t bytes, Dtype dtype)> spoil;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& backend() const override { return text_; }
  const std::string& backend_reason() const override { return text_; }
  // Everybody is alone.
  std::unique_ptr<Group> split(int color, int) override {
    note("split", static_cast<size_t>(color));
    return std::make_unique<DeafGroup>(0, 1);
  }

  void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) override {
    keep("all_sum", input, output, bytes);
    if (spoil) spoil(output, bytes, dtype);
  }
  void all_max(const void* input, void* output, size_t bytes, Dtype) override {
    keep("all_max", input, output, bytes);
  }
  void all_min(const void* input, void* output, size_t bytes, Dtype) override {
    keep("all_min", input, output, bytes);
  }
  void sum_scatter(const void* input, void* output, size_t bytes, Dtype) override {
    keep("sum_scatter", own(input, bytes), output, bytes);
  }
  void all_gather(const void* input, void* output, size_t bytes) override {
    keep("all_gather", input, own(output, bytes), bytes);
  }
  void broadcast(void*, size_t bytes, int) override { note("broadcast", bytes); }
  void all_to_all(const void* input, void* output, size_t bytes) override {
    keep("all_to_all", own(input, bytes), own(output, bytes), bytes);
  }
  void barrier() override { note("barrier", 0); }
  void send(const void*, size_t bytes, int) override { note("send", bytes); }
  void recv(void*, size_t bytes, int) override { note("recv", bytes); }
  void abort() override {}

 private:
  template <typename Pointer>
  Pointer own(Pointer chunks, size_t bytes) const {
    using Byte = std::conditional_t<std::is_same_v<Pointer, void*>, char, const char>;
    return static_cast<Byte*>(chunks) + bytes * static_cast<size_t>(rank_);
  }

  void keep(const char* call, const void* input, void* output, size_t bytes) {
    note(call, bytes);
    if (bytes > 0) std::memmove(output, input, bytes);
  }

  void note(const char* call, size_t bytes) {
    calls.push_back(std::string(call) + " " + std::to_string(bytes));
  }

  int rank_, size_;
  std::string text_ = "deaf";
};

}  // namespace railyard::rank
