// Groups of several ranks: meshes and rings, over RDMA or TCP.
#pragma once

#include <memory>
#include <optional>

#include "bootstrap/side_channel.h"
#include "collectives/collectives.h"
#include "group/turns.h"
#include "railyard/group.h"

namespace railyard {

class ConnectedGroup : public Group {
 public:
  // What a sub-group is made with.
  struct Origin {
    int listener = -1;  // where its rank 0 listens already
    // RDMA gives way to TCP when a device has no room left.
    bool may_give_way = false;
  };

  // `backend` is neither any nor local. Blocks until all ranks are connected.
  ConnectedGroup(const Config& config, Backend backend, std::string reason);
  ConnectedGroup(const Config& config, Backend backend, std::string reason, Origin origin);
  ~ConnectedGroup() override;

  int rank() const override { return config_.rank; }
  int size() const override { return config_.size(); }
  const std::string& backend() const override { return backend_name_; }
  const std::string& backend_reason() const override { return reason_; }

  std::unique_ptr<Group> split(int color, int key) override;

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
  void look_for_crowds();
  std::unique_ptr<Engine> make_engine(const std::vector<int>& peers, bool may_give_way);
  // Runs one operation; its error ends the group.
  template <typename Work>
  void guarded(const char* operation, Work work);

  const Config config_;
  Backend backend_;
  std::string backend_name_, reason_;
  std::unique_ptr<SideChannel> side_channel_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Collectives> collectives_;

  Turns turns_;
  std::optional<std::string> failure_;  // why the group is unusable
};

}  // namespace railyard
