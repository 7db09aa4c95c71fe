// Groups over RDMA: mesh and ring.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "bootstrap/side_channel.h"
#include "railyard/group.h"
#include "transport/engine.h"

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
  void barrier() override;
  void send(const void* data, size_t bytes, int destination) override;
  void recv(void* data, size_t bytes, int source) override;
  void abort() override;

 private:
  // The ranks that this one has rails to.
  std::vector<int> peers() const;
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

  std::mutex mutex_;
  std::optional<std::string> failure_;  // why the group is unusable
};

}  // namespace railyard
