#include "railyard-faulty/messages.h"

#include <algorithm>

#include "railyard-rank/digest.h"
#include "railyard-rank/inputs.h"

namespace railyard::faulty {
namespace {

class Mover {
 public:
  Mover(Session& session, SideChannel& channel, Endpoint& endpoint, Posting posting)
      : session_(session), channel_(channel), endpoint_(endpoint), posting_(posting) {}

  void run(uint32_t index) {
    const worker::Operation& operation = session_.work.operations[index];
    session_.result.operations.emplace_back().name = operation.name;
    if (session_.place.rank == operation.from) {
      channel_.barrier();
      send_all(index, operation);
    } else {
      if (posting_ == Posting::early) post_receives(index, operation);
      channel_.barrier();
      if (posting_ == Posting::late) post_receives(index, operation);
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
      const auto slot = endpoint_.send_slot(i).first(operation.bytes);
      rank::fill_bytes(session_.draw(index, i), operation.from, slot.size(), slot.data());
      digest_.add(slot.data(), slot.size());
      endpoint_.post_send(i, slot.size());
    }
    while (record().iterations < operation.repeat) {
      if (endpoint_.poll()) finish_one();
    }
  }

  void post_receives(uint32_t index, const worker::Operation& operation) {
    for (uint32_t i = 0; i < operation.repeat; ++i) {
      session_.progress.begin(index, i);
      endpoint_.post_receive(i, operation.bytes);
    }
  }

  void receive_all(uint32_t index, const worker::Operation& operation) {
    while (record().iterations < operation.repeat) {
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
  Posting posting_;
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

void move_messages(Session& session, SideChannel& channel, Endpoint& endpoint, Posting posting) {
  session.progress.connected();
  Mover mover(session, channel, endpoint, posting);
  for (uint32_t i = 0; i < session.work.operations.size(); ++i) mover.run(i);
  session.progress.leaving();
  channel.barrier();
}

}  // namespace railyard::faulty
