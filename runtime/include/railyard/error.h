// Every failure of the runtime is one railyard::Error: a code that programs branch on, the fields
// that say where it happened, and one line of text that says it all.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace railyard {

enum class ErrorCode {
  configuration,      // the configuration is not valid; nothing was opened
  device,             // a device is missing, its port is down, or one of its verbs failed
  limit_reached,      // the device grants less than is needed (see `limit`, `asked`, `granted`)
  peer_unreachable,   // a peer is alive but nothing comes from it: a cable, a port, a wrong address
  peer_dead,          // a peer's process is gone, or it has left the group
  completion_error,   // a work request completed with an error (see `completion_status`)
  deadline_exceeded,  // the deadline passed for a reason that is none of the others
  aborted,            // abort() was called, here or on another rank
  group_unusable,     // an earlier error has ended this group
  side_channel_lost,  // the TCP connection to the coordinator could not be made or is gone
  mismatched_collectives,  // two ranks called different operations, sizes or dtypes
};

// "peer-unreachable", "peer-dead", ...: the names used in results, scenarios and logs.
const char* name(ErrorCode code);

// Where an error happened. Empty text, -1 and 0 say "does not apply".
struct ErrorFields {
  std::string operation;          // "all_sum", "bootstrap", "ibv_create_qp"
  std::string device;             // "rdma_en3"
  int peer = -1;                  // the rank at the other end
  int rail = -1;                  // which of the links to that peer
  int origin = -1;                // the rank that failed first, when that was another one
  int error_number = 0;           // errno of a verb or of a socket
  std::string completion_status;  // "RETRY_EXC_ERR"
  std::string limit;              // "queue depth in 4 KiB frames"
  int64_t asked = 0;              // of that limit
  int64_t granted = 0;            // of that limit
};

class Error : public std::runtime_error, public ErrorFields {
 public:
  // `message` is one line; what() returns it unchanged.
  Error(ErrorCode code, const std::string& message, ErrorFields fields = {})
      : std::runtime_error(message), ErrorFields(std::move(fields)), code_(code) {}

  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// The configuration is not valid. what() reads "FILE: PLACE: what is wrong; what mends it".
class ConfigurationError : public Error {
 public:
  ConfigurationError(std::string file_name, std::string place_in_file, const std::string& problem);

  std::string file;   // the file or environment variable, or empty
  std::string place;  // "row 1, column 0", "hosts[2].rdma", or empty
};

}  // namespace railyard
