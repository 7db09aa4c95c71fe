// An all_sum over a mesh in chunks: every rank sends its own to all others and adds what comes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "railyard-faulty/variants.h"
#include "railyard-rank/digest.h"
#include "railyard-rank/inputs.h"

namespace railyard::faulty {
namespace {

constexpr size_t kChunkBytes = 4096;
constexpr size_t kChunkElements = kChunkBytes / sizeof(float);
constexpr size_t kPipeline = 2;  // staging buffers, and receives to each peer

// When the staging buffer of the own chunk is filled again.
enum class Refill {
  after_sends,      // wrong: once it is sent, though it may not have been added yet
  after_reduction,  // right: once it is sent and added
};

class Mesh {
 public:
  Mesh(Session& session, SideChannel& channel, Refill refill)
      : refill_(refill), own_(kPipeline * kChunkElements) {
    Endpoint::Options options;
    options.slots = kPipeline;
    options.slot_bytes = kChunkBytes;
    const int size = session.place.ranks;
    // Pairs are connected in the same order everywhere: every rank takes part in every exchange.
    for (int low = 0; low < size; ++low) {
      for (int high = low + 1; high < size; ++high) {
        const int rank = session.place.rank;
        if (rank == low || rank == high) {
          links_.push_back(
              std::make_unique<Link>(session, channel, rank == low ? high : low, options));
        } else {
          Link::pass_by(session, channel);
        }
      }
    }
  }

  void all_sum(const std::vector<float>& input, std::vector<float>& output) {
    chunks_ = (input.size() + kChunkElements - 1) / kChunkElements;
    filled_ = reduced_ = 0;
    peers_.assign(links_.size(), {});
    for (size_t peer = 0; peer < links_.size(); ++peer) {
      for (size_t chunk = 0; chunk < std::min(chunks_, kPipeline); ++chunk) receive(peer, chunk);
    }
    while (reduced_ < chunks_ || sent() < chunks_) {
      while (filled_ < chunks_ && filled_ - freed() < kPipeline) stage(input);
      for (size_t peer = 0; peer < links_.size(); ++peer) poll(peer);
      if (reduced_ < filled_ && all_arrived()) reduce(output);
    }
  }

 private:
  struct Peer {
    size_t sent = 0;     // completed
    size_t arrived = 0;  // chunks
  };

  size_t sent() const {
    size_t least = chunks_;
    for (const Peer& peer : peers_) least = std::min(least, peer.sent);
    return least;
  }
  size_t freed() const {
    return refill_ == Refill::after_sends ? sent() : std::min(sent(), reduced_);
  }
  bool all_arrived() const {
    return std::all_of(peers_.begin(), peers_.end(),
                       [&](const Peer& peer) { return peer.arrived > reduced_; });
  }
  float* own(size_t chunk) { return own_.data() + chunk % kPipeline * kChunkElements; }

  void receive(size_t peer, size_t chunk) {
    links_[peer]->rail(0).post_receive(chunk % kPipeline, kChunkBytes);
  }

  void stage(const std::vector<float>& input) {
    const size_t begin = filled_ * kChunkElements;
    const size_t count = std::min(kChunkElements, input.size() - begin);
    std::copy_n(input.begin() + static_cast<std::ptrdiff_t>(begin), count, own(filled_));
    for (auto& link : links_) {
      const size_t slot = filled_ % kPipeline;
      std::memcpy(link->rail(0).send_slot(slot).data(), own(filled_), kChunkBytes);
      link->rail(0).post_send(slot, kChunkBytes);
    }
    ++filled_;
  }

  void poll(size_t peer) {
    const auto done = links_[peer]->rail(0).poll();
    if (!done) return;
    ++(done->kind == Completion::Kind::send ? peers_[peer].sent : peers_[peer].arrived);
  }

  void reduce(std::vector<float>& output) {
    const size_t begin = reduced_ * kChunkElements;
    const size_t count = std::min(kChunkElements, output.size() - begin);
    float* const out = output.data() + begin;
    std::copy_n(own(reduced_), count, out);
    for (size_t peer = 0; peer < links_.size(); ++peer) {
      const auto chunk = links_[peer]->rail(0).receive_slot(reduced_ % kPipeline);
      for (size_t i = 0; i < count; ++i) {
        float value;
        std::memcpy(&value, chunk.data() + i * sizeof value, sizeof value);
        out[i] += value;
      }
      if (reduced_ + kPipeline < chunks_) receive(peer, reduced_ + kPipeline);
    }
    ++reduced_;
  }

  Refill refill_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<float> own_;
  std::vector<Peer> peers_;
  size_t chunks_ = 0, filled_ = 0, reduced_ = 0;
};

void run(Session& session, Refill refill) {
  for (const worker::Operation& operation : session.work.operations) {
    if (operation.kind != worker::Operation::Kind::all_sum || operation.dtype != "float32") {
      throw worker::BadInput("this variant does all_sum of float32");
    }
  }
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  Mesh mesh(session, channel, refill);
  session.progress.connected();
  rank::SumCheck check;
  for (uint32_t index = 0; index < session.work.operations.size(); ++index) {
    const worker::Operation& operation = session.work.operations[index];
    worker::OperationResult& record = session.result.operations.emplace_back();
    record.name = operation.name;
    rank::Digest digest;
    std::vector<float> input(operation.count), output(operation.count);
    for (uint32_t i = 0; i < operation.repeat; ++i) {
      session.progress.begin(index, i);
      const rank::Draw draw = session.draw(index, i);
      rank::fill_input(draw, rank::ElementType::float32, session.place.rank, operation.count,
                       input.data());
      mesh.all_sum(input, output);
      auto mismatch = check.check(draw, rank::ElementType::float32, operation.count, output.data());
      if (mismatch && !record.mismatch) record.mismatch = mismatch;
      digest.add(output.data(), output.size() * sizeof(float));
      record.digest = digest.text();
      ++record.iterations;
      session.progress.finish();
    }
  }
  session.progress.leaving();
  channel.barrier();
}

}  // namespace

void early_refill(Session& session) { run(session, Refill::after_sends); }
void late_refill(Session& session) { run(session, Refill::after_reduction); }

}  // namespace railyard::faulty
