// The faults of a scenario: what is broken, and when.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "railyard/fabric.h"

namespace railyard::harness {

using Nanoseconds = std::chrono::nanoseconds;

// When a fault fires. Exactly one of the four is set.
struct Trigger {
  std::optional<Nanoseconds> after;  // since the ranks were started; 0: before they are
  struct AtOperation {
    int rank = 0;
    uint32_t operation = 0;  // index into the workload
    uint32_t iteration = 0;  // the fault fires before this iteration begins
  };
  std::optional<AtOperation> at_operation;
  struct AtVerb {
    int rank = 0;
    std::string verb;
    uint64_t nth = 1;  // counted from 1
    uint64_t times = 1;
  };
  std::optional<AtVerb> at_verb;
  struct AtMessage {
    std::string cable;
    int from_end = -1;  // the direction, -1: both
    uint64_t nth = 1;   // counted from 1; it is held until the fault has fired
    uint64_t times = 1;
  };
  std::optional<AtMessage> at_message;
  std::string text;  // for people: "rank 0 before iteration 50 of all_sum"
};

enum class FaultKind {
  cable_unplug,
  cable_plug,
  cable_swap,
  cable_miswire,
  cable_flap,
  link_shape,
  message_drop,
  message_delay,
  message_corrupt,
  message_duplicate,
  message_hold,
  message_release,
  receive_delay_until_arrival,
  verb_fail,
  verb_block,
  verb_delay,
  completion_alter,
  device_limit,
  device_fail,
  gid_set,
  gid_clear,
  rank_kill,
  rank_stop,
  rank_resume,
  rank_slow,
  data_stale,
  side_channel_refuse,
  side_channel_cut,
  side_channel_hang,
  side_channel_slow,
};

enum class FaultOutcome { fired, did_not_fire, no_change };

// Fields that a kind does not use keep their defaults.
struct FaultPlan {
  FaultKind kind = FaultKind::cable_unplug;
  std::string name;  // "cable.swap"
  Trigger when;
  std::vector<std::string> cables;
  std::string node;         // the end at which plugs are moved; the sender of messages; empty: both
  std::string port;         // "node0/rdma_en3": whose device or GID table; where a plug is moved to
  std::string verb;         // of a verb fault that is armed at a time
  int rank = -1;            // whom a rank fault strikes; -1, for the side channel: every rank
  int error_number = 0;     // verb.fail: an errno; completion.alter: an ibv_wc_status
  Nanoseconds duration{0};  // how long it lasts or delays; 0: for good
  uint64_t times = 1;       // cable.flap: how often; messages and verbs armed at a time: how many
  double share = 0;         // rank.slow: the part of its time that is left to it
  fabric::LinkModel link;
  fabric::Resource resource = fabric::Resource::contexts;
  std::optional<int> most;  // device.limit; absent: what is given out already
  int gid_index = -1;       // -1: all rows
  std::optional<std::array<uint8_t, 16>> gid;
  std::optional<FaultOutcome> expected = FaultOutcome::fired;  // nullopt: any will do

  // Whether the fabric itself fires it, in the call or at the message that the trigger names.
  bool fires_in_fabric() const;
};

}  // namespace railyard::harness
