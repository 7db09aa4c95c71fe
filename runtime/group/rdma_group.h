// Groups over RDMA: mesh and ring.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "bootstrap/side_channel.h"
#include "collectives/collectives.h"
#include "railyard/group.h"

namespace railyard {

class RdmaGroup : public Group {
 public:
  // `backend` is mesh or ring. Blocks until all ranks are connected.
  RdmaGroup(const Config& config, Backend backend, std::string reason);
  ~RdmaGroup() override;

  int rank() const override { return config_.rank; }
  int size() const override { return config_.size(); }
  const std::string& backend() const override { return backend_name_; }
  const std::string& backend_reason() const override { return reason_; }

  void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) override;
  void all_max(const void* input, void* output, size_t bytes, Dtype dtype) override;
  void all_min(const void* input, void* output, size_t bytes, Dtype dtype) override;
  void sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) override;
  void all_gather(const void* input, void* output, size_t bytes) override;
  void broadcast(void* data, size_t bytes, int root) override;
  void all_to_all(const void* input, void* output, size_t bytes) override;
  void barrier() override;
  void send(const void* data, size_t bytes, int destination) override;
  void recv(void* data, size_t bytes, int source) override;
  void abort() override;

 private:
  // Runs a collective: `which` of the functions of Collectives.
  void call(void (Collectives::*which)(const Call&), const Call& call);
  [[noreturn]] void fail_no_rank(const char* operation, int peer) const;
  void require_peer(const char* operation, int peer) const;
  // Runs one operation; its error ends the group.
  template <typename Work>
  void guarded(const char* operation, Work work);

  const Config config_;
  const Backend backend_;
  const std::string backend_name_;
  const std::string reason_;
  std::unique_ptr<SideChannel> side_channel_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Collectives> collectives_;

  std::mutex mutex_;
  std::optional<std::string> failure_;  // why the group is unusable
};

}  // namespace railyard
