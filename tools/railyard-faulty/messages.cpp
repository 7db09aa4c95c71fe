#include "railyard-faulty/messages.h"

#include <algorithm>
#include <vector>

#include "railyard-rank/digest.h"
#include "railyard-rank/inputs.h"

namespace railyard::faulty {
namespace {

class Mover {
 public:
  Mover(Session& session, SideChannel& channel, Endpoint& endpoint, const Habits& habits)
      : session_(session), channel_(channel), endpoint_(endpoint), habits_(habits) {}

  void run(uint32_t index) {
    const worker::Operation& operation = session_.work.operations[index];
    session_.result.operations.emplace_back().name = operation.name;
    if (session_.place.rank == operation.from) {
      channel_.barrier();
      send_all(index, operation);
    } else {
      if (!habits_.posts_late) post_receives(index, operation);
      channel_.barrier();
      if (habits_.posts_late) post_receives(index, operation);
      receive_all(index, operation);
    }
    session_.result.operations.back().digest = digest_.text();
    digest_ = {};
  }

 private:
  worker::OperationResult& record() { return session_.result.operations.back(); }

  void send_all(uint32_t index, const worker::Operation& operation) {
    for (uint32_t i = 0; i < operation.repeat; ++i) {
      session_.progress.begin(index, i);
      send_one(index, turn(i, operation.repeat), operation);
    }
    while (record().iterations < operation.repeat) {
      if (endpoint_.poll()) finish_one();
    }
  }

  uint32_t turn(uint32_t i, uint32_t repeat) const {
    return habits_.calls_overlap && (i ^ 1) < repeat ? i ^ 1 : i;
  }

  void send_one(uint32_t index, uint32_t message, const worker::Operation& operation) {
    const auto slot = endpoint_.send_slot(message).first(operation.bytes);
    std::vector<std::byte> content(slot.size());
    rank::fill_bytes(session_.draw(index, message), operation.from, content.size(), content.data());
    const bool late = habits_.producer_late || habits_.skips_rows;
    const size_t written = late ? content.size() - content.size() / 4 : content.size();
    std::copy_n(content.begin(), written, slot.begin());
    endpoint_.post_send(message, slot.size());
    if (habits_.producer_late) std::copy(content.begin(), content.end(), slot.begin());
    digest_.add(content.data(), content.size());
  }

  void post_receives(uint32_t index, const worker::Operation& operation) {
    const bool wrong_size = habits_.previous_size && index > 0;
    const uint64_t bytes = wrong_size ? session_.work.operations[index - 1].bytes : operation.bytes;
    for (uint32_t i = 0; i < operation.repeat; ++i) {
      session_.progress.begin(index, i);
      endpoint_.post_receive(i, bytes);
    }
  }

  void receive_all(uint32_t index, const worker::Operation& operation) {
    const uint32_t taken = habits_.leaves_last ? operation.repeat - 1 : operation.repeat;
    while (record().iterations < taken) {
      const auto arrived = endpoint_.poll();
      if (!arrived) continue;
      const auto iteration = static_cast<uint32_t>(arrived->slot);
      const auto message = endpoint_.receive_slot(arrived->slot).first(operation.bytes);
      digest_.add(message.data(), message.size());
      auto mismatch = rank::check_bytes(session_.draw(index, iteration), operation.from,
                                        message.size(), message.data());
      if (mismatch && !record().mismatch) record().mismatch = mismatch;
      finish_one();
    }
  }

  void finish_one() {
    ++record().iterations;
    session_.progress.finish();
  }

  Session& session_;
  SideChannel& channel_;
  Endpoint& endpoint_;
  Habits habits_;
  rank::Digest digest_;
};

}  // namespace

Endpoint::Options endpoint_for_messages(const Session& session) {
  Endpoint::Options options;
  options.rnr_retry = session.options.rnr_retry;
  options.slots = 1;
  options.slot_bytes = 1;
  for (const worker::Operation& operation : session.work.operations) {
    options.slots = std::max<size_t>(options.slots, operation.repeat);
    options.slot_bytes = std::max<size_t>(options.slot_bytes, operation.bytes);
  }
  return options;
}

void move_messages(Session& session, SideChannel& channel, Endpoint& endpoint,
                   const Habits& habits) {
  session.progress.connected();
  Mover mover(session, channel, endpoint, habits);
  for (uint32_t i = 0; i < session.work.operations.size(); ++i) mover.run(i);
  session.progress.leaving();
  channel.barrier();
}

void run_messages(Session& session, const Habits& habits) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  Link link(session, channel, 1 - session.place.rank, endpoint_for_messages(session));
  move_messages(session, channel, link.rail(0), habits);
}

}  // namespace railyard::faulty
