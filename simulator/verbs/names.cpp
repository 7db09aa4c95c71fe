// The texts of libibverbs for its enumerations, worded as programs and their users know them.
#include <infiniband/verbs.h>

#include <cstddef>

#include "verbs/export.h"

namespace {

template <size_t count>
const char* text_of(const char* const (&texts)[count], int value, const char* otherwise) {
  if (value < 0 || static_cast<size_t>(value) >= count) return otherwise;
  return texts[value] ? texts[value] : otherwise;
}

}  // namespace

RAILYARD_VERB const char* ibv_node_type_str(enum ibv_node_type node_type) {
  static constexpr const char* kTexts[] = {nullptr,
                                           "InfiniBand channel adapter",
                                           "InfiniBand switch",
                                           "InfiniBand router",
                                           "iWARP NIC",
                                           "usNIC",
                                           "usNIC UDP",
                                           "unspecified"};
  return text_of(kTexts, node_type, "unknown");
}

RAILYARD_VERB const char* ibv_port_state_str(enum ibv_port_state port_state) {
  static constexpr const char* kTexts[] = {
      "no state change (NOP)", "down", "init", "armed", "active", "active defer"};
  return text_of(kTexts, port_state, "unknown");
}

RAILYARD_VERB const char* ibv_event_type_str(enum ibv_event_type event) {
  static constexpr const char* kTexts[] = {"CQ error",
                                           "local work queue catastrophic error",
                                           "invalid request local work queue error",
                                           "local access violation work queue error",
                                           "communication established",
                                           "send queue drained",
                                           "path migrated",
                                           "path migration request error",
                                           "local catastrophic error",
                                           "port active",
                                           "port error",
                                           "LID change",
                                           "P_Key change",
                                           "SM change",
                                           "SRQ catastrophic error",
                                           "SRQ limit reached",
                                           "last WQE reached",
                                           "client reregistration",
                                           "GID table change",
                                           "WQ fatal"};
  return text_of(kTexts, event, "unknown");
}

RAILYARD_VERB const char* ibv_wc_status_str(enum ibv_wc_status status) {
  static constexpr const char* kTexts[] = {"success",
                                           "local length error",
                                           "local QP operation error",
                                           "local EE context operation error",
                                           "local protection error",
                                           "Work Request Flushed Error",
                                           "memory management operation error",
                                           "bad response error",
                                           "local access error",
                                           "remote invalid request error",
                                           "remote access error",
                                           "remote operation error",
                                           "transport retry counter exceeded",
                                           "RNR retry counter exceeded",
                                           "local RDD violation error",
                                           "remote invalid RD request",
                                           "aborted error",
                                           "invalid EE context number",
                                           "invalid EE context state",
                                           "fatal error",
                                           "response timeout error",
                                           "general error",
                                           "TM error",
                                           "TM software rendezvous"};
  return text_of(kTexts, status, "unknown");
}
