// Mistakes from the field, each with a twin that does the same job rightly. None has a deadline:
// like their models they wait for ever, and whoever started them ends them.
#pragma once

#include <span>

#include "railyard-faulty/session.h"

namespace railyard::faulty {

struct Variant {
  const char* name;
  const char* twin;     // the healthy one; null for a healthy one itself
  const char* summary;  // one sentence
  const char* source;   // where it was seen
  void (*run)(Session& session);
  Place (*place)() = place_from_environment;  // how it reads its environment
};

std::span<const Variant> variants();

// Runs in every rank; throws WorkerError and worker::BadInput.
void late_receive(Session& session);
void early_receive(Session& session);
void previous_size(Session& session);
void stale_input(Session& session);
void stale_rows(Session& session);
void leaves_unread(Session& session);
void concurrent_calls(Session& session);
void status_unread(Session& session);
void gid_index_one(Session& session);
void absolute_offset(Session& session);
void full_prefill(Session& session);
void spilling_frame(Session& session);
void clamped_frame(Session& session);
void relative_offset(Session& session);
void early_refill(Session& session);
void late_refill(Session& session);
void second_context(Session& session);
void one_context(Session& session);
void region_per_buffer(Session& session);
void one_region(Session& session);
void queue_pair_per_size(Session& session);
void domain_unchecked(Session& session);
void branch_early(Session& session);
void exchange_first(Session& session);
void derived_port(Session& session);
void system_port(Session& session);
void no_retry(Session& session);
void end_unread(Session& session);
void joins_on_exit(Session& session);
void short_device_list(Session& session);
void null_configuration(Session& session);
void world_of_one(Session& session);
void tcp_first(Session& session);
void presence_is_truth(Session& session);
void narrow_count(Session& session);
void both_neighbours(Session& session);

// An environment that is not as it must be, read as in the field.
Place place_or_world_of_one();
Place place_or_nothing();

}  // namespace railyard::faulty
