#include "group/rdma_group.h"

#include <fmt/format.h>

#include "collectives/point_to_point.h"

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

// More rails to one peer are not used.
constexpr int kMostRails = 4;

const std::byte* in(const void* data) { return static_cast<const std::byte*>(data); }
std::byte* out(void* data) { return static_cast<std::byte*>(data); }

}  // namespace

RdmaGroup::RdmaGroup(const Config& config, Backend backend, std::string reason)
    : config_(config), backend_(backend), backend_name_(name(backend)), reason_(std::move(reason)) {
  side_channel_ = SideChannel::connect({.rank = config_.rank,
                                        .size = config_.size(),
                                        .coordinator = config_.coordinator,
                                        .deadline = config_.bootstrap_deadline});
  try {
    bool ring = backend_ == Backend::ring;
    auto peers = ring ? ring::peers(rank(), size()) : mesh::peers(rank(), size());
    engine_ = std::make_unique<Engine>(config_, peers, kMostRails, *side_channel_);
    collectives_ = (ring ? ring::make : mesh::make)(*engine_, rank(), size());
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

void RdmaGroup::fail_no_rank(const char* operation, int peer) const {
  ErrorFields fields;
  fields.operation = operation;
  fields.peer = peer;
  throw Error(
      ErrorCode::configuration,
      fmt::format("{}: rank {} is not another rank of this group of {}", operation, peer, size()),
      fields);
}

void RdmaGroup::require_peer(const char* operation, int peer) const {
  if (peer < 0 || peer >= size() || peer == rank()) fail_no_rank(operation, peer);
  ErrorFields fields;
  fields.operation = operation;
  fields.peer = peer;
  if (engine_->link(peer).rails.empty()) {
    throw Error(
        ErrorCode::configuration,
        fmt::format("{}: rank {} is no neighbour of rank {} in the ring; a ring reaches its two "
                    "neighbours only, use a mesh",
                    operation, peer, rank()),
        fields);
  }
}

void RdmaGroup::call(void (Collectives::*which)(const Call&), const Call& call) {
  const char* operation = name(call.kind);
  if (call.bytes % size_of(call.dtype) != 0) {
    ErrorFields fields;
    fields.operation = operation;
    throw Error(ErrorCode::configuration,
                fmt::format("{}: {} bytes are no whole number of elements of {}", operation,
                            call.bytes, name(call.dtype)),
                fields);
  }
  guarded(operation, [&] { (collectives_.get()->*which)(call); });
}

void RdmaGroup::all_sum(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::all_reduce, {OperationKind::all_sum, in(input), out(output), bytes, dtype});
}

void RdmaGroup::all_max(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::all_reduce, {OperationKind::all_max, in(input), out(output), bytes, dtype});
}

void RdmaGroup::all_min(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::all_reduce, {OperationKind::all_min, in(input), out(output), bytes, dtype});
}

void RdmaGroup::sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::sum_scatter,
       {OperationKind::sum_scatter, in(input), out(output), bytes, dtype});
}

void RdmaGroup::all_gather(const void* input, void* output, size_t bytes) {
  call(&Collectives::all_gather, {OperationKind::all_gather, in(input), out(output), bytes});
}

void RdmaGroup::broadcast(void* data, size_t bytes, int root) {
  if (root < 0 || root >= size()) fail_no_rank("broadcast", root);
  call(&Collectives::broadcast,
       {OperationKind::broadcast, nullptr, out(data), bytes, Dtype::UInt8, root});
}

void RdmaGroup::all_to_all(const void* input, void* output, size_t bytes) {
  call(&Collectives::all_to_all, {OperationKind::all_to_all, in(input), out(output), bytes});
}

void RdmaGroup::barrier() { call(&Collectives::all_gather, {OperationKind::barrier}); }

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
