// What verbs devices this machine has.
#pragma once

namespace railyard::host {

// Prints a JSON object of devices, their ports and GIDs, as the verbs library that the loader finds
// tells them; "error" where there is none. Returns the exit code.
int inspect();

}  // namespace railyard::host
