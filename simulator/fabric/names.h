// The specification's names for numbers, as reports print them.
#pragma once

#include <cstdint>
#include <string>

#include "fabric/layout.h"

namespace railyard::fabric {

const char* queue_pair_type_name(uint32_t type);          // "RC"
const char* queue_pair_state_name(uint32_t state);        // "RTS"
const char* completion_status_name(uint32_t status);      // "IBV_WC_RNR_RETRY_EXC_ERR"
const char* opcode_name(uint32_t work_request_opcode);    // "SEND_WITH_IMM"

}  // namespace railyard::fabric
