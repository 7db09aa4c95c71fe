// Which processor core a rank runs on.
#pragma once

namespace railyard::bench {

// Where there is a core for each rank, keeps this process and its threads to come on one of its own,
// as mpirun does: ranks that poll are easily left on one core together. Does nothing where the
// system offers no such thing.
void keep_to_core(int rank, int ranks);

}  // namespace railyard::bench
