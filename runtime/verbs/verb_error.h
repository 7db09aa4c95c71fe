// Errors of verbs: which call, on which device, with which errno, and what may mend it.
#pragma once

#include <string>

#include "railyard/error.h"

namespace railyard {

// Where a verb was called.
struct VerbPlace {
  std::string device;
  int peer = -1;
  int rail = -1;
};

// The fields of an error of `operation` there.
ErrorFields fields_of(const std::string& operation, const VerbPlace& place);

// `code` with "rdma_en3: ibv_create_qp failed: Device or resource busy (errno 16); `hint`".
Error verb_error(ErrorCode code, const std::string& verb, int error_number, const VerbPlace& place,
                 const std::string& hint = {});

// The errno of a verb that returns an int: some return it, some return -1 and set errno.
int errno_of(int result);

// "RETRY_EXC_ERR" for IBV_WC_RETRY_EXC_ERR.
const char* completion_status_name(int status);

}  // namespace railyard
