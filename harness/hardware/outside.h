// What a run on hosts shows from outside.
#pragma once

#include "railyard/fabric.h"
#include "railyard/run.h"

namespace railyard::harness {

// A diagnosis that knows nothing of the cables, made better by what was done to them: `model` is
// the fabric that stands for the hosts' cables.
Diagnosis with_moved_cables(Diagnosis diagnosis, const fabric::Fabric& model);

}  // namespace railyard::harness
