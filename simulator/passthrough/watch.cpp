#include "passthrough/watch.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace railyard::passthrough {

namespace {

constexpr uint64_t kWords = 512;

uint64_t add(uint64_t digest, uint64_t from, uint64_t to) {
  // FNV-1a over words: enough to see that something changed.
  uint64_t step = std::max<uint64_t>(1, (to - from) / sizeof(uint64_t) / kWords) * sizeof(uint64_t);
  for (uint64_t at = from; at < to; at += step) {
    uint64_t word = 0;
    std::memcpy(&word, reinterpret_cast<const void*>(at), std::min<uint64_t>(sizeof word, to - at));
    digest = (digest ^ word) * 0x100000001b3;
  }
  return digest;
}

}  // namespace

Watch& Watch::instance() {
  static Watch& watch = *new Watch;
  return watch;
}

Watch::Watch() {
  const char* wanted = std::getenv(kWatchVariable);
  on_ = wanted && *wanted;
}

void Watch::registered(const ibv_mr& region) {
  if (!on_) return;
  auto from = reinterpret_cast<uint64_t>(region.addr);
  std::lock_guard lock(mutex_);
  regions_[{region.context, region.lkey}] = {from, from + region.length};
}

void Watch::deregistered(const ibv_mr& region) {
  if (!on_) return;
  std::lock_guard lock(mutex_);
  regions_.erase({region.context, region.lkey});
}

void Watch::created(const ibv_qp& pair, bool all_signaled) {
  if (!on_) return;
  std::lock_guard lock(mutex_);
  pairs_[{pair.context, pair.qp_num}] = {all_signaled, {}};
}

void Watch::destroyed(const ibv_context* context, uint32_t number) {
  if (!on_) return;
  std::lock_guard lock(mutex_);
  pairs_.erase({context, number});
}

uint64_t Watch::digest(const ibv_context* context, const std::vector<ibv_sge>& pieces) const {
  uint64_t digest = 0xcbf29ce484222325;
  for (const ibv_sge& piece : pieces) {
    auto region = regions_.find({context, piece.lkey});
    if (region == regions_.end() || piece.addr < region->second.from ||
        piece.addr + piece.length > region->second.to) {
      return 0;
    }
    digest = add(digest, piece.addr, piece.addr + piece.length);
  }
  return digest | 1;
}

void Watch::posted(const ibv_qp& pair, const ibv_send_wr& request) {
  std::lock_guard lock(mutex_);
  Pair& its = pairs_[{pair.context, pair.qp_num}];
  Send send{its.all_signaled || (request.send_flags & IBV_SEND_SIGNALED), 0, {}};
  // The memory of an inline request is the program's again at once; that of the others is to
  // change.
  bool outgoing = request.opcode == IBV_WR_SEND || request.opcode == IBV_WR_SEND_WITH_IMM ||
                  request.opcode == IBV_WR_RDMA_WRITE ||
                  request.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
  if (outgoing && !(request.send_flags & IBV_SEND_INLINE)) {
    send.pieces.assign(request.sg_list, request.sg_list + request.num_sge);
    send.digest = digest(pair.context, send.pieces);
  }
  its.sends.push_back(std::move(send));
}

void Watch::withdraw(const ibv_qp& pair) {
  std::lock_guard lock(mutex_);
  auto& sends = pairs_[{pair.context, pair.qp_num}].sends;
  if (!sends.empty()) sends.pop_back();
}

void Watch::completed(const ibv_context* context, DeviceSeen& seen, const ibv_wc& completion) {
  std::lock_guard lock(mutex_);
  auto pair = pairs_.find({context, completion.qp_num});
  if (pair == pairs_.end()) return;
  auto& sends = pair->second.sends;
  // The opcode of a completion in error says nothing, and nothing good comes after it.
  if (completion.status != IBV_WC_SUCCESS) return sends.clear();
  if (completion.opcode & IBV_WC_RECV) return;
  bool last = false;
  while (!sends.empty() && !last) {
    const Send& send = sends.front();
    if (send.digest != 0 && digest(context, send.pieces) != send.digest) {
      seen.changed_in_flight.fetch_add(1);
    }
    last = send.signaled;
    sends.pop_front();
  }
}

}  // namespace railyard::passthrough
