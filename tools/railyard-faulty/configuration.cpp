// Mistakes with what a rank is told: devices, variables, files, backends.
#include <cstdlib>
#include <vector>

#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"
#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

// The workload's messages over the side channel, whole: `count` keeps their length.
template <typename Count>
void messages_over_tcp(Session& session) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  session.progress.connected();
  session.result.group_size = session.place.ranks;
  for (uint32_t index = 0; index < session.work.operations.size(); ++index) {
    const worker::Operation& operation = session.work.operations[index];
    worker::OperationResult& record = session.result.operations.emplace_back();
    record.name = operation.name;
    std::vector<std::byte> message(operation.bytes);
    const auto count = static_cast<Count>(message.size());
    for (uint32_t i = 0; i < operation.repeat; ++i) {
      session.progress.begin(index, i);
      const bool sends = session.place.rank == operation.from;
      if (sends) {
        rank::fill_bytes(session.draw(index, i), operation.from, message.size(), message.data());
      }
      const std::vector<std::byte> all =
          channel.all_gather(message.data(), sends ? count : message.size());
      const std::byte* arrived = all.data() + static_cast<size_t>(operation.from) * message.size();
      auto mismatch =
          rank::check_bytes(session.draw(index, i), operation.from, message.size(), arrived);
      if (mismatch && !record.mismatch) record.mismatch = mismatch;
      ++record.iterations;
      session.progress.finish();
    }
  }
}

const Place* configuration(const Session& session) {
  return std::getenv("JACCL_COORDINATOR") != nullptr ? &session.place : nullptr;
}

}  // namespace

Place place_or_nothing() { return {}; }

Place place_or_world_of_one() {
  try {
    return place_from_environment();
  } catch (const worker::BadInput&) {
    Place alone;
    alone.rank = 0;
    alone.ranks = 1;
    return alone;
  }
}

void short_device_list(Session& session) {
  const int peer = (session.place.rank + 1) % session.place.ranks;
  const std::vector<std::string>& rails = session.rails_to(peer);
  std::vector<ContextPointer> found;
  for (const std::string& name : rails) {
    try {
      found.push_back(open_device(name));
    } catch (const WorkerError&) {
      // As in the field: what is not found is left out.
    }
  }
  found.resize(rails.size() + 1);  // so that what lies past the end is the same in every run
  for (size_t rail = 0; rail < rails.size(); ++rail) {
    session.result.backend_reason = ibv_get_device_name(found[rail]->device);
  }
}

void null_configuration(Session& session) {
  const Place* const place = configuration(session);
  session.result.rank = *static_cast<const volatile int*>(&place->rank);
}

void world_of_one(Session& session) {
  session.result.group_size = session.place.ranks;
  session.result.rank = session.place.rank;
  session.progress.connected();
}

void tcp_first(Session& session) {
  session.result.backend = "tcp-ring";
  messages_over_tcp<size_t>(session);
}

void presence_is_truth(Session& session) {
  run_messages(session, {});
  session.result.group_size = session.place.ranks;
  session.result.backend = std::getenv("JACCL_RING") != nullptr ? "ring" : "mesh";
}

// The field's count had 32 bits; here the boundary lies lower, where a test may cross it.
void narrow_count(Session& session) { messages_over_tcp<uint16_t>(session); }

}  // namespace railyard::faulty
