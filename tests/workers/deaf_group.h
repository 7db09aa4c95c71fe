// A group in which nothing arrives from others: every rank is left with its own.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <string>
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
  std::unique_ptr<Group> split(int, int) override { return nullptr; }

  void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) override {
    note("all_sum", bytes);
    if (bytes > 0) std::memmove(output, input, bytes);
    if (spoil) spoil(output, bytes, dtype);
  }
  void all_max(const void*, void*, size_t bytes, Dtype) override { note("all_max", bytes); }
  void all_min(const void*, void*, size_t bytes, Dtype) override { note("all_min", bytes); }
  void sum_scatter(const void*, void*, size_t bytes, Dtype) override { note("sum_scatter", bytes); }
  void all_gather(const void*, void*, size_t bytes) override { note("all_gather", bytes); }
  void broadcast(void*, size_t bytes, int) override { note("broadcast", bytes); }
  void all_to_all(const void*, void*, size_t bytes) override { note("all_to_all", bytes); }
  void barrier() override { note("barrier", 0); }
  void send(const void*, size_t bytes, int) override { note("send", bytes); }
  void recv(void*, size_t bytes, int) override { note("recv", bytes); }
  void abort() override {}

 private:
  void note(const char* call, size_t bytes) {
    calls.push_back(std::string(call) + " " + std::to_string(bytes));
  }

  int rank_, size_;
  std::string text_ = "deaf";
};

}  // namespace railyard::rank
