#include "railyard/error.h"

namespace railyard {

const char* name(ErrorCode code) {
  switch (code) {
    case ErrorCode::configuration:
      return "configuration";
    case ErrorCode::device:
      return "device";
    case ErrorCode::limit_reached:
      return "limit-reached";
    case ErrorCode::peer_unreachable:
      return "peer-unreachable";
    case ErrorCode::peer_dead:
      return "peer-dead";
    case ErrorCode::completion_error:
      return "completion-error";
    case ErrorCode::deadline_exceeded:
      return "deadline-exceeded";
    case ErrorCode::aborted:
      return "aborted";
    case ErrorCode::group_unusable:
      return "group-unusable";
    case ErrorCode::side_channel_lost:
      return "side-channel-lost";
    case ErrorCode::mismatched_collectives:
      return "mismatched-collectives";
  }
  return "unknown";
}

namespace {

std::string one_line(const std::string& file, const std::string& place,
                     const std::string& problem) {
  std::string line;
  for (const std::string* part : {&file, &place, &problem}) {
    if (part->empty()) continue;
    if (!line.empty()) line += ": ";
    line += *part;
  }
  return line;
}

}  // namespace

ConfigurationError::ConfigurationError(std::string file_name, std::string place_in_file,
                                       const std::string& problem)
    : Error(ErrorCode::configuration, one_line(file_name, place_in_file, problem)),
      file(std::move(file_name)),
      place(std::move(place_in_file)) {}

}  // namespace railyard
