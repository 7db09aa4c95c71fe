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
};

std::span<const Variant> variants();

// Runs in every rank; throws WorkerError and worker::BadInput.
void late_receive(Session& session);
void early_receive(Session& session);
void absolute_offset(Session& session);
void relative_offset(Session& session);
void second_context(Session& session);
void one_context(Session& session);

}  // namespace railyard::faulty
