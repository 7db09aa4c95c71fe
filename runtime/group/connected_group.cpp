#include "group/connected_group.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "bootstrap/wire.h"
#include "collectives/point_to_point.h"
#include "group/split.h"
#include "transport/tcp_engine.h"
#include "transport/verbs_engine.h"

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

const std::byte* in(const void* data) { return static_cast<const std::byte*>(data); }
std::byte* out(void* data) { return static_cast<std::byte*>(data); }

}  // namespace

ConnectedGroup::ConnectedGroup(const Config& config, Backend backend, std::string reason)
    : ConnectedGroup(config, backend, std::move(reason), Origin()) {}

ConnectedGroup::ConnectedGroup(const Config& config, Backend backend, std::string reason,
                               Origin origin)
    : config_(config), backend_(backend), reason_(std::move(reason)) {
  side_channel_ = SideChannel::connect({.rank = config_.rank,
                                        .size = config_.size(),
                                        .coordinator = config_.coordinator,
                                        .deadline = config_.bootstrap_deadline,
                                        .listener = origin.listener});
  try {
    bool ring = backend_ == Backend::ring || backend_ == Backend::tcp_ring;
    auto peers = ring ? ring::peers(rank(), size()) : mesh::peers(rank(), size());
    engine_ = make_engine(peers, origin.may_give_way);
    look_for_crowds();
    collectives_ = (ring ? ring::make : mesh::make)(*engine_, rank(), size());
  } catch (const Error& error) {
    side_channel_->report(news_of(error, config_.rank));
    throw;
  }
  backend_name_ = name(backend_);
}

// Every rank hears the same of each, and so comes to the same conclusion.
void ConnectedGroup::look_for_crowds() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  int processors = config_.processors;
  if (processors == 0) processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  WireWriter mine;
  mine.put(std::string_view(host)).put(static_cast<uint32_t>(processors));
  auto deadline = std::chrono::steady_clock::now() + config_.bootstrap_deadline;
  std::map<std::string, Crowd> crowds;
  for (const std::string& text :
       side_channel_->exchange(mine.take(), "to compare hosts", deadline)) {
    WireReader theirs(text);
    Crowd& crowd = crowds[theirs.text()];
    int shared = static_cast<int>(theirs.get<uint32_t>());
    crowd.processors = crowd.ranks == 0 ? shared : std::min(crowd.processors, shared);
    ++crowd.ranks;
  }
  bool any = std::any_of(crowds.begin(), crowds.end(),
                         [](const auto& crowd) { return crowd.second.large(); });
  engine_->set_crowd(crowds[host], any);
}

std::unique_ptr<Engine> ConnectedGroup::make_engine(const std::vector<int>& peers,
                                                    bool may_give_way) {
  if (backend_ == Backend::tcp || backend_ == Backend::tcp_ring) {
    return std::make_unique<TcpEngine>(config_, peers, *side_channel_);
  }
  std::unique_ptr<VerbsEngine> engine;
  std::string refusal;
  try {
    engine = std::make_unique<VerbsEngine>(config_, peers, kMostRails, *side_channel_);
  } catch (const Error& error) {
    if (!may_give_way || error.code() != ErrorCode::limit_reached) throw;
    refusal = error.what();
  }
  if (may_give_way) {
    auto deadline = std::chrono::steady_clock::now() + config_.bootstrap_deadline;
    auto refusals = side_channel_->exchange(refusal, "to agree on RDMA or TCP", deadline);
    for (size_t rank = 0; rank < refusals.size(); ++rank) {
      if (refusals[rank].empty()) continue;
      engine.reset();
      backend_ = backend_ == Backend::ring ? Backend::tcp_ring : Backend::tcp;
      reason_ = fmt::format("the devices of rank {} have no room for more rails: {}", rank,
                            refusals[rank]);
      return std::make_unique<TcpEngine>(config_, peers, *side_channel_);
    }
  }
  engine->connect();
  return engine;
}

ConnectedGroup::~ConnectedGroup() {
  // First all ranks agree that nothing more will be sent, then the queue pairs go.
  engine_->drain();
  side_channel_->leave();
  engine_->read_rest();
}

template <typename Work>
void ConnectedGroup::guarded(const char* operation, Work work) {
  std::lock_guard turn(turns_);
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

void ConnectedGroup::fail_no_rank(const char* operation, int peer) const {
  ErrorFields fields;
  fields.operation = operation;
  fields.peer = peer;
  throw Error(
      ErrorCode::configuration,
      fmt::format("{}: rank {} is not another rank of this group of {}", operation, peer, size()),
      fields);
}

void ConnectedGroup::require_peer(const char* operation, int peer) const {
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

std::unique_ptr<Group> ConnectedGroup::split(int color, int key) {
  SubGroup part;
  // All exchanges are over before any rank goes its own way.
  guarded("split", [&] { part = agree_on_split(config_, *side_channel_, color, key); });
  return make_sub_group(config_, backend_, std::move(part));
}

void ConnectedGroup::call(void (Collectives::*which)(const Call&), const Call& call) {
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

void ConnectedGroup::all_sum(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::all_reduce, {OperationKind::all_sum, in(input), out(output), bytes, dtype});
}

void ConnectedGroup::all_max(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::all_reduce, {OperationKind::all_max, in(input), out(output), bytes, dtype});
}

void ConnectedGroup::all_min(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::all_reduce, {OperationKind::all_min, in(input), out(output), bytes, dtype});
}

void ConnectedGroup::sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) {
  call(&Collectives::sum_scatter,
       {OperationKind::sum_scatter, in(input), out(output), bytes, dtype});
}

void ConnectedGroup::all_gather(const void* input, void* output, size_t bytes) {
  call(&Collectives::all_gather, {OperationKind::all_gather, in(input), out(output), bytes});
}

void ConnectedGroup::broadcast(void* data, size_t bytes, int root) {
  if (root < 0 || root >= size()) fail_no_rank("broadcast", root);
  call(&Collectives::broadcast,
       {OperationKind::broadcast, nullptr, out(data), bytes, Dtype::UInt8, root});
}

void ConnectedGroup::all_to_all(const void* input, void* output, size_t bytes) {
  call(&Collectives::all_to_all, {OperationKind::all_to_all, in(input), out(output), bytes});
}

void ConnectedGroup::barrier() { call(&Collectives::all_gather, {OperationKind::barrier}); }

void ConnectedGroup::send(const void* data, size_t bytes, int destination) {
  require_peer("send", destination);
  guarded("send", [&] { railyard::send(*engine_, data, bytes, destination); });
}

void ConnectedGroup::recv(void* data, size_t bytes, int source) {
  require_peer("recv", source);
  guarded("recv", [&] { receive(*engine_, data, bytes, source); });
}

void ConnectedGroup::abort() {
  // The operation in progress notices it as it notices news of any other failure.
  side_channel_->report(
      {ErrorCode::aborted, rank(), -1, fmt::format("abort() was called on rank {}", rank())});
}

}  // namespace railyard
