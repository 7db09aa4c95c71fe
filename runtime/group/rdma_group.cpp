#include "group/rdma_group.h"

#include <fmt/format.h>

#include "collectives/mesh.h"
#include "collectives/point_to_point.h"
#include "collectives/ring.h"

namespace railyard {

namespace {

News news_of(const Error& error, int rank) {
  return {error.code(), error.origin >= 0 ? error.origin : rank, error.peer, error.what()};
}

// The same error as one of `operation`, with its name in front.
Error named(const std::string& operation, const Error& error) {
  if (error.operation == operation) return error;
  ErrorFields fields = error;
  fields.operation = operation;
  return {error.code(), fmt::format("{}: {}", operation, error.what()), fields};
}

}  // namespace

RdmaGroup::RdmaGroup(const Config& config, Backend backend, std::string reason)
    : config_(config), backend_(backend), backend_name_(name(backend)), reason_(std::move(reason)) {
  side_channel_ = SideChannel::connect({.rank = config_.rank,
                                        .size = config_.size(),
                                        .coordinator = config_.coordinator,
                                        .deadline = config_.bootstrap_deadline});
  try {
    engine_ = std::make_unique<Engine>(config_, peers(), 1, *side_channel_);
  } catch (const Error& error) {
    side_channel_->report(news_of(error, config_.rank));
    throw;
  }
}

RdmaGroup::~RdmaGroup() {
  // First all ranks agree that nothing more will be sent, then the queue pairs go.
  engine_->drain();
  side_channel_->leave();
}

std::vector<int> RdmaGroup::peers() const {
  std::vector<int> ranks;
  if (backend_ == Backend::ring) {
    int left = ring::left_of(rank(), size()), right = ring::right_of(rank(), size());
    ranks.push_back(left);
    if (right != left) ranks.push_back(right);
    return ranks;
  }
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) ranks.push_back(peer);
  }
  return ranks;
}

template <typename Work>
void RdmaGroup::guarded(const char* operation, Work work) {
  std::lock_guard lock(mutex_);
  if (failure_) {
    ErrorFields fields;
    fields.operation = operation;
    throw Error(
        ErrorCode::group_unusable,
        fmt::format("{}: the group is unusable since an earlier error: {}", operation, *failure_),
        fields);
  }
  try {
    if (side_channel_->has_news()) throw to_error(side_channel_->news(), operation, rank());
    work();
  } catch (const Error& error) {
    failure_ = error.what();
    side_channel_->report(news_of(error, rank()));
    throw named(operation, error);
  }
}

void RdmaGroup::require_peer(const char* operation, int peer) const {
  ErrorFields fields;
  fields.operation = operation;
  fields.peer = peer;
  if (peer < 0 || peer >= size() || peer == rank()) {
    throw Error(
        ErrorCode::configuration,
        fmt::format("{}: rank {} is not another rank of this group of {}", operation, peer, size()),
        fields);
  }
  if (engine_->link(peer).rails.empty()) {
    throw Error(
        ErrorCode::configuration,
        fmt::format("{}: rank {} is no neighbour of rank {} in the ring; a ring reaches its two "
                    "neighbours only, use a mesh",
                    operation, peer, rank()),
        fields);
  }
}

void RdmaGroup::all_sum(const void* input, void* output, size_t bytes, Dtype dtype) {
  if (bytes % size_of(dtype) != 0) {
    ErrorFields fields;
    fields.operation = "all_sum";
    throw Error(
        ErrorCode::configuration,
        fmt::format("all_sum: {} bytes are no whole number of elements of {}", bytes, name(dtype)),
        fields);
  }
  if (bytes == 0) return;
  guarded("all_sum", [&] {
    if (backend_ == Backend::ring) {
      ring::all_sum(*engine_, rank(), size(), input, output, bytes, dtype);
    } else {
      mesh::all_sum(*engine_, rank(), size(), input, output, bytes, dtype);
    }
  });
}

void RdmaGroup::barrier() {
  guarded("barrier", [&] {
    if (backend_ == Backend::ring) {
      ring::barrier(*engine_, rank(), size());
    } else {
      mesh::barrier(*engine_, rank(), size());
    }
  });
}

void RdmaGroup::send(const void* data, size_t bytes, int destination) {
  require_peer("send", destination);
  guarded("send", [&] { railyard::send(*engine_, data, bytes, destination); });
}

void RdmaGroup::recv(void* data, size_t bytes, int source) {
  require_peer("recv", source);
  guarded("recv", [&] { receive(*engine_, data, bytes, source); });
}

void RdmaGroup::abort() {
  // The operation in progress notices it as it notices news of any other failure.
  side_channel_->report(
      {ErrorCode::aborted, rank(), -1, fmt::format("abort() was called on rank {}", rank())});
}

}  // namespace railyard
