#include <cstring>
#include <vector>

#include "railyard-faulty/variants.h"
#include "railyard-faulty/wire_plan.h"
#include "railyard-rank/digest.h"
#include "railyard-rank/inputs.h"

namespace railyard::faulty {
namespace {

constexpr uint64_t kFrameBytes = 4096;
constexpr uint64_t kPipeline = 2;  // buffers of a wire in each direction

// One wire's way through its region. Chunk n uses slot n % kPipeline.
struct Wire {
  Region region;
  uint64_t posted = 0;
  uint64_t finished = 0;

  bool waits() const { return finished < posted; }
  uint64_t begin_of(uint64_t chunk) const { return region.begin + chunk * kFrameBytes; }
  uint64_t bytes_of(uint64_t chunk) const {
    return std::min(kFrameBytes, region.end - begin_of(chunk));
  }
  // As it goes over the wire and into the message.
  uint64_t frame_of(uint64_t chunk, uint64_t message_bytes, bool spills) const {
    return spills ? std::min(kFrameBytes, message_bytes - begin_of(chunk)) : bytes_of(chunk);
  }
};

// How a message is striped; a default is the right way.
struct StripeHabits {
  PrefillRule prefill = PrefillRule::region_length;
  bool aligned = true;  // regions are whole frames
  bool spills = false;  // a region's last frame ends with the message, not with the region
};

class StripedLink {
 public:
  StripedLink(Link& link, const StripeHabits& habits) : link_(link), habits_(habits) {}

  void send(const std::vector<std::byte>& message) {
    std::vector<Wire> wires = make_wires(message.size());
    bool unfinished = true;
    while (unfinished) {
      unfinished = false;
      for (size_t k = 0; k < wires.size(); ++k) {
        Wire& wire = wires[k];
        const uint64_t chunks = wire.region.chunks(kFrameBytes);
        while (wire.posted < chunks && wire.posted - wire.finished < kPipeline) {
          const size_t slot = wire.posted % kPipeline;
          std::memcpy(link_.rail(k).send_slot(slot).data(),
                      message.data() + wire.begin_of(wire.posted), wire.bytes_of(wire.posted));
          link_.rail(k).post_send(slot, wire.frame_of(wire.posted, message.size(), habits_.spills));
          ++wire.posted;
        }
        if (wire.waits() && link_.rail(k).poll()) ++wire.finished;
        unfinished |= wire.finished < chunks;
      }
    }
  }

  void receive(std::vector<std::byte>& message) {
    std::vector<Wire> wires = make_wires(message.size());
    for (size_t k = 0; k < wires.size(); ++k) {
      const uint64_t receives = prefill(wires[k].region, kFrameBytes, kPipeline, habits_.prefill);
      while (wires[k].posted < receives) post_receive(k, wires[k]);
    }
    bool waiting = true;
    while (waiting) {
      waiting = false;
      for (size_t k = 0; k < wires.size(); ++k) {
        Wire& wire = wires[k];
        if (wire.waits() && link_.rail(k).poll()) take_chunk(k, wire, message);
        waiting |= wire.waits();
      }
    }
  }

 private:
  std::vector<Wire> make_wires(uint64_t bytes) const {
    std::vector<Wire> wires;
    for (const Region& region : stripe(bytes, link_.rails(), habits_.aligned ? kFrameBytes : 1)) {
      wires.push_back({.region = region});
    }
    return wires;
  }

  void post_receive(size_t k, Wire& wire) {
    link_.rail(k).post_receive(wire.posted % kPipeline, kFrameBytes);
    ++wire.posted;
  }

  void take_chunk(size_t k, Wire& wire, std::vector<std::byte>& message) {
    const auto chunk = link_.rail(k).receive_slot(wire.finished % kPipeline);
    std::memcpy(message.data() + wire.begin_of(wire.finished), chunk.data(),
                wire.frame_of(wire.finished, message.size(), habits_.spills));
    ++wire.finished;
    if (wire.posted < wire.region.chunks(kFrameBytes)) post_receive(k, wire);
  }

  Link& link_;
  StripeHabits habits_;
};

void run_operation(Session& session, StripedLink& link, uint32_t index) {
  const worker::Operation& operation = session.work.operations[index];
  std::vector<std::byte> message(operation.bytes);
  rank::Digest digest;
  session.result.operations.emplace_back().name = operation.name;
  for (uint32_t i = 0; i < operation.repeat; ++i) {
    session.progress.begin(index, i);
    const rank::Draw draw = session.draw(index, i);
    worker::OperationResult& record = session.result.operations.back();
    if (session.place.rank == operation.from) {
      rank::fill_bytes(draw, operation.from, message.size(), message.data());
      link.send(message);
    } else {
      link.receive(message);
      auto mismatch = rank::check_bytes(draw, operation.from, message.size(), message.data());
      if (mismatch && !record.mismatch) record.mismatch = mismatch;
    }
    digest.add(message.data(), message.size());
    record.digest = digest.text();
    ++record.iterations;
    session.progress.finish();
  }
}

void run(Session& session, const StripeHabits& habits) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  Endpoint::Options options;
  options.slots = kPipeline;
  options.slot_bytes = kFrameBytes;
  Link link(session, channel, 1 - session.place.rank, options);
  session.progress.connected();

  StripedLink striped(link, habits);
  for (uint32_t i = 0; i < session.work.operations.size(); ++i) run_operation(session, striped, i);
  session.progress.leaving();
  channel.barrier();
}

}  // namespace

void absolute_offset(Session& session) { run(session, {.prefill = PrefillRule::absolute_end}); }
void full_prefill(Session& session) { run(session, {.prefill = PrefillRule::whole_pipeline}); }
void spilling_frame(Session& session) { run(session, {.aligned = false, .spills = true}); }
void clamped_frame(Session& session) { run(session, {.aligned = false}); }
void relative_offset(Session& session) { run(session, {}); }

}  // namespace railyard::faulty
