// Mistakes in how messages are posted, each one habit of an otherwise right program.
#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"

namespace railyard::faulty {

void early_receive(Session& session) { run_messages(session, {}); }
void late_receive(Session& session) { run_messages(session, {.posts_late = true}); }
void previous_size(Session& session) { run_messages(session, {.previous_size = true}); }
void stale_input(Session& session) { run_messages(session, {.producer_late = true}); }
void stale_rows(Session& session) { run_messages(session, {.skips_rows = true}); }
void leaves_unread(Session& session) { run_messages(session, {.leaves_last = true}); }
void concurrent_calls(Session& session) { run_messages(session, {.calls_overlap = true}); }

}  // namespace railyard::faulty
