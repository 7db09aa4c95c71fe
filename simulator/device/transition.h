// Which moves of a queue pair the specification allows, and which attributes each needs.
#pragma once

#include <infiniband/verbs.h>

namespace railyard::sim {

// 0, or EINVAL: no such move, an attribute missing or out of place (InfiniBand specification 10.3.1 and
// table 91; ibv_modify_qp(3)).
int check_transition(ibv_qp_type type, ibv_qp_state from, ibv_qp_state to, int mask);

}  // namespace railyard::sim
