// A group whose calls show on the worker's page: it waits within them and computes between them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "railyard/group.h"
#include "worker/progress.h"

namespace railyard::rank {

class WatchedGroup final : public Group {
 public:
  WatchedGroup(Group& group, worker::Progress& progress) : group_(group), progress_(progress) {}

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  const std::string& backend() const override { return group_.backend(); }
  const std::string& backend_reason() const override { return group_.backend_reason(); }
  void abort() override { group_.abort(); }

  std::unique_ptr<Group> split(int color, int key) override {
    const Waiting waiting(progress_);
    return group_.split(color, key);
  }
  void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.all_sum(as_written(input, bytes), output, bytes, dtype);
  }
  void all_max(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.all_max(as_written(input, bytes), output, bytes, dtype);
  }
  void all_min(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.all_min(as_written(input, bytes), output, bytes, dtype);
  }
  void sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.sum_scatter(input, output, bytes, dtype);
  }
  void all_gather(const void* input, void* output, size_t bytes) override {
    const Waiting waiting(progress_);
    group_.all_gather(as_written(input, bytes), output, bytes);
  }
  void broadcast(void* data, size_t bytes, int root) override {
    const Waiting waiting(progress_);
    group_.broadcast(data, bytes, root);
  }
  void all_to_all(const void* input, void* output, size_t bytes) override {
    const Waiting waiting(progress_);
    group_.all_to_all(input, output, bytes);
  }
  void barrier() override {
    const Waiting waiting(progress_);
    group_.barrier();
  }
  void send(const void* data, size_t bytes, int destination) override {
    const Waiting waiting(progress_);
    group_.send(as_written(data, bytes), bytes, destination);
  }
  void recv(void* data, size_t bytes, int source) override {
    const Waiting waiting(progress_);
    group_.recv(data, bytes, source);
  }

 private:
  class Waiting {
   public:
    explicit Waiting(worker::Progress& progress) : progress_(progress) { progress_.waiting(); }
    ~Waiting() { progress_.computing(); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    worker::Progress& progress_;
  };

  // The input; where a fault asks for it, as it was before its producer had written the last
  // quarter (antirez/ds4#351).
  const void* as_written(const void* input, size_t bytes) {
    if (bytes == 0 || !progress_.input_is_stale()) return input;
    const auto* begin = static_cast<const uint8_t*>(input);
    stale_.assign(begin, begin + bytes);
    for (size_t i = bytes - (bytes + 3) / 4; i < bytes; ++i) stale_[i] ^= 0x5a;
    return stale_.data();
  }

  Group& group_;
  worker::Progress& progress_;
  std::vector<uint8_t> stale_;
};

}  // namespace railyard::rank
