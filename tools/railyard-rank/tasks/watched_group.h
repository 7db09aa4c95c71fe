// A group whose calls show on the worker's page: it waits within them and computes between them.
#pragma once

#include <memory>
#include <string>

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
    group_.all_sum(input, output, bytes, dtype);
  }
  void all_max(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.all_max(input, output, bytes, dtype);
  }
  void all_min(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.all_min(input, output, bytes, dtype);
  }
  void sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) override {
    const Waiting waiting(progress_);
    group_.sum_scatter(input, output, bytes, dtype);
  }
  void all_gather(const void* input, void* output, size_t bytes) override {
    const Waiting waiting(progress_);
    group_.all_gather(input, output, bytes);
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
    group_.send(data, bytes, destination);
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

  Group& group_;
  worker::Progress& progress_;
};

}  // namespace railyard::rank
