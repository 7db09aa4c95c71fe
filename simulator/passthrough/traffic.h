// What the rules make of sends and completions, whichever way a program posts and polls.
#pragma once

#include <infiniband/verbs.h>

#include "passthrough/device.h"

namespace railyard::passthrough {

// Before a send: the errno that it fails with, 0: none. `dropped`: it is not to be posted.
int enter_send(const char* device, bool& dropped);
// Before a poll: the errno that it fails with, 0: none.
int enter_poll(const char* device);
// A completion that a poll has found; those in error go to the record and the page.
void alter(const ibv_context* context, const Device& device, ibv_wc& completion);
// After a poll, for the page; one that found nothing also looks at ports if it is asked to.
void note_poll(int found);

}  // namespace railyard::passthrough
