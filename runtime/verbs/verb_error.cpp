#include "verbs/verb_error.h"

#include <fmt/format.h>
#include <infiniband/verbs.h>

#include <cerrno>
#include <cstring>

namespace railyard {

ErrorFields fields_of(const std::string& operation, const VerbPlace& place) {
  ErrorFields fields;
  fields.operation = operation;
  fields.device = place.device;
  fields.peer = place.peer;
  fields.rail = place.rail;
  return fields;
}

Error verb_error(ErrorCode code, const std::string& verb, int error_number, const VerbPlace& place,
                 const std::string& hint) {
  ErrorFields fields = fields_of(verb, place);
  fields.error_number = error_number;
  std::string to =
      place.peer < 0 ? "" : fmt::format(" (to rank {}, rail {})", place.peer, place.rail);
  return {code,
          fmt::format("{}{}: {} failed: {} (errno {}){}{}", place.device, to, verb,
                      error_number ? std::strerror(error_number) : "no reason given", error_number,
                      hint.empty() ? "" : "; ", hint),
          fields};
}

int errno_of(int result) { return result < 0 ? errno : result; }

const char* completion_status_name(int status) {
  switch (status) {
    case IBV_WC_SUCCESS:
      return "SUCCESS";
    case IBV_WC_LOC_LEN_ERR:
      return "LOC_LEN_ERR";
    case IBV_WC_LOC_QP_OP_ERR:
      return "LOC_QP_OP_ERR";
    case IBV_WC_LOC_PROT_ERR:
      return "LOC_PROT_ERR";
    case IBV_WC_WR_FLUSH_ERR:
      return "WR_FLUSH_ERR";
    case IBV_WC_BAD_RESP_ERR:
      return "BAD_RESP_ERR";
    case IBV_WC_LOC_ACCESS_ERR:
      return "LOC_ACCESS_ERR";
    case IBV_WC_REM_INV_REQ_ERR:
      return "REM_INV_REQ_ERR";
    case IBV_WC_REM_ACCESS_ERR:
      return "REM_ACCESS_ERR";
    case IBV_WC_REM_OP_ERR:
      return "REM_OP_ERR";
    case IBV_WC_RETRY_EXC_ERR:
      return "RETRY_EXC_ERR";
    case IBV_WC_RNR_RETRY_EXC_ERR:
      return "RNR_RETRY_EXC_ERR";
    case IBV_WC_REM_ABORT_ERR:
      return "REM_ABORT_ERR";
    case IBV_WC_FATAL_ERR:
      return "FATAL_ERR";
    case IBV_WC_RESP_TIMEOUT_ERR:
      return "RESP_TIMEOUT_ERR";
    case IBV_WC_GENERAL_ERR:
      return "GENERAL_ERR";
    default:
      return "OTHER_ERR";
  }
}

}  // namespace railyard
