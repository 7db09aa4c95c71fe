// What the fuzzer knows of the profiles, written down a second time: from TN3205, the notes of
// those who measured, and the InfiniBand specification, not from the profiles' files.
#pragma once

#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace railyard::fuzz {

struct Rules {
  bool reliable_connections;
  bool one_sided;
  bool drops_without_receive;  // an unreliable message; otherwise it waits
  uint32_t frame_bytes;        // 0: a message may be shorter than its receive
  uint32_t most_pieces;
  uint32_t most_inline;
  bool receives_need_rts;
  bool shared_receives;
  bool datagrams;
  bool extended;        // XRC
  bool point_to_point;  // each cable joins two ranks; otherwise all are on one switch
};

inline Rules rules_of(const std::string& profile) {
  if (profile == "permissive")
    return {true, true, false, 0, 3, 512, false, true, true, true, false};
  if (profile == "connectx") return {true, true, true, 0, 3, 512, false, true, true, true, false};
  if (profile == "apple-thunderbolt5")
    return {false, false, false, 4096, 1, 0, true, false, false, false, true};
  throw std::invalid_argument("the model has no rules of the profile '" + profile + "'");
}

}  // namespace railyard::fuzz
