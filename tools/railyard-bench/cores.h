// Which processor core a rank runs on.
#pragma once

namespace railyard::bench {

// Keeps this process and its threads to come on one core: one of its own where there are enough, as
// mpirun does, else one of those that the ranks share evenly. Ranks that poll are easily left
// together on one core while another has less to do, by chance for the whole of a short run. Does
// nothing where the system offers no such thing.
void keep_to_core(int rank);

}  // namespace railyard::bench
