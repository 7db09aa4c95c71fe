// `railyard-host --probe`: what is this host's device cabled to?
#pragma once

namespace railyard::host {

// Speaks lines of JSON on the standard streams; see harness/hardware/protocol.md. Returns at the
// end of its input.
int probe();

}  // namespace railyard::host
