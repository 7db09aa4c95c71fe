// A group of one: sums are copies.
#pragma once

#include <atomic>
#include <cstring>

#include "railyard/group.h"

namespace railyard {

class LocalGroup : public Group {
 public:
  explicit LocalGroup(std::string reason) : reason_(std::move(reason)) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  const std::string& backend() const override { return backend_; }
  const std::string& backend_reason() const override { return reason_; }

  std::unique_ptr<Group> split(int color, int) override {
    require_usable("split");
    if (color < 0) return nullptr;
    return std::make_unique<LocalGroup>("the group that was split has one rank");
  }

  void all_sum(const void* input, void* output, size_t bytes, Dtype) override {
    copy("all_sum", input, output, bytes);
  }
  void all_max(const void* input, void* output, size_t bytes, Dtype) override {
    copy("all_max", input, output, bytes);
  }
  void all_min(const void* input, void* output, size_t bytes, Dtype) override {
    copy("all_min", input, output, bytes);
  }
  void sum_scatter(const void* input, void* output, size_t bytes, Dtype) override {
    copy("sum_scatter", input, output, bytes);
  }
  void all_gather(const void* input, void* output, size_t bytes) override {
    copy("all_gather", input, output, bytes);
  }
  void broadcast(void*, size_t, int root) override {
    require_usable("broadcast");
    if (root != 0) refuse("broadcast", root);
  }
  void all_to_all(const void* input, void* output, size_t bytes) override {
    copy("all_to_all", input, output, bytes);
  }
  void barrier() override { require_usable("barrier"); }
  void send(const void*, size_t, int destination) override { refuse("send", destination); }
  void recv(void*, size_t, int source) override { refuse("recv", source); }
  void abort() override { aborted_ = true; }

 private:
  void copy(const char* operation, const void* input, void* output, size_t bytes) const {
    require_usable(operation);
    if (input != output && bytes > 0) std::memcpy(output, input, bytes);
  }
  void require_usable(const char* operation) const {
    if (!aborted_) return;
    ErrorFields fields;
    fields.operation = operation;
    throw Error(ErrorCode::aborted, std::string(operation) + ": abort() was called on rank 0",
                fields);
  }
  [[noreturn]] static void refuse(const char* operation, int peer) {
    ErrorFields fields;
    fields.operation = operation;
    fields.peer = peer;
    throw Error(ErrorCode::configuration,
                std::string(operation) + ": a group of one rank has no other rank to talk to",
                fields);
  }

  const std::string backend_ = "local";
  const std::string reason_;
  std::atomic<bool> aborted_{false};
};

}  // namespace railyard
