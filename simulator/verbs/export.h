// What programs see of the drop-in library: everything else in it is hidden.
#pragma once

// Before the definition of a function of the verbs ABI.
#define RAILYARD_VERB extern "C" __attribute__((visibility("default")))
