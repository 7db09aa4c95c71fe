// The contract of the pass-through library: a verbs library that stands in front of a device's own,
// forwards everything, and breaks what its rules say.
//
// RAILYARD_REAL_VERBS          path of the device's own library; without it, the system's
// RAILYARD_PASSTHROUGH_RULES   path of the rules; without it, everything is forwarded
// RAILYARD_PASSTHROUGH_PAGE    path of a file of kRulePageBytes, mapped as one RulePage; without it
// the
//                              page is the process's own
// RAILYARD_PASSTHROUGH_RECORD  path of the record, to which a line is added for every verb of the
//                              control path, every completion in error and every rule that fired
// RAILYARD_PASSTHROUGH_WATCH   set: the page counts sends whose memory changed before they were
//                              complete
//
// A rules file that cannot be read ends the process with exit code 2 and one line on standard error
// before any device is seen. simulator/passthrough/README.md has the rules' language and the
// record's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace railyard::passthrough {

inline constexpr char kRealVariable[] = "RAILYARD_REAL_VERBS";
inline constexpr char kRulesVariable[] = "RAILYARD_PASSTHROUGH_RULES";
inline constexpr char kPageVariable[] = "RAILYARD_PASSTHROUGH_PAGE";
inline constexpr char kRecordVariable[] = "RAILYARD_PASSTHROUGH_RECORD";
inline constexpr char kWatchVariable[] = "RAILYARD_PASSTHROUGH_WATCH";

inline constexpr uint32_t kMostRules = 64;
inline constexpr size_t kRulePageBytes = 4096;

// What became of one rule: rule k of the file is state k of the page. Thread-safe, lock-free; the
// owner of the page may die at any moment, and so may the process.
struct RuleState {
  std::atomic<uint32_t> armed{1};     // a rule that says "later" counts from when this is set
  std::atomic<uint32_t> released{0};  // set: what a "block" holds goes on, and it holds no more
  std::atomic<uint64_t> seen{0};      // calls that the rule applies to, since it was armed
  std::atomic<uint64_t> fired{0};
  std::atomic<int64_t> first_fired_ns{0};  // CLOCK_MONOTONIC
};

// What a device has a limited number of and one process may see the end of, by number: contexts,
// protection domains, completion queues, queue pairs, memory regions.
inline constexpr size_t kCountedResources = 5;

// What the library has seen of one device.
struct DeviceSeen {
  char name[28] = {};
  std::atomic<uint32_t> named{0};       // set once the name is there; 0: no device here
  std::atomic<uint32_t> port_state{0};  // enum ibv_port_state, plus one; 0: nobody has looked
  std::atomic<uint32_t> contexts{0};    // that the process holds
  std::atomic<uint32_t> refused[kCountedResources] = {};  // asked for more than there are
  std::atomic<uint32_t> errors{0};                        // completions, but for flushed ones
  std::atomic<uint32_t> last_error{0};                    // enum ibv_wc_status
  std::atomic<uint32_t> changed_in_flight{
      0};  // sends whose memory changed before they were complete
};

inline constexpr uint32_t kMostDevices = 16;

struct RulePage {
  std::atomic<uint32_t> loaded{0};  // the library has read its rules: so many, plus one

  // What the process does with its devices.
  std::atomic<uint32_t> inside{0};  // the verb that it is in: its Place; 0: none
  std::atomic<uint32_t> in_device{
      0};                           // while a device's own library opens it: its number, plus one
  std::atomic<uint64_t> calls{0};   // verbs of the control path, begun
  std::atomic<uint64_t> posted{0};  // sends and receives
  std::atomic<uint64_t> completed{0};  // completions that polls have found
  std::atomic<uint64_t> empty_polls{0};

  // The next poll after ports_asked has grown looks at the ports of all open devices.
  std::atomic<uint32_t> ports_asked{0}, ports_answered{0};
  DeviceSeen devices[kMostDevices];

  RuleState rules[kMostRules];
};

// The places at which rules take hold, by number from 1: "ibv_open_device"; "" for none.
inline constexpr const char* kPlaces[] = {
    "",
    "ibv_get_device_list",
    "ibv_open_device",
    "ibv_close_device",
    "ibv_query_device",
    "ibv_query_port",
    "ibv_query_gid",
    "ibv_alloc_pd",
    "ibv_dealloc_pd",
    "ibv_reg_mr",
    "ibv_dereg_mr",
    "ibv_create_cq",
    "ibv_destroy_cq",
    "ibv_create_qp",
    "ibv_modify_qp",
    "ibv_destroy_qp",
    "ibv_post_send",
    "ibv_post_recv",
    "ibv_poll_cq",
    "completion",  // not a verb: each completion that a poll has found
};

static_assert(sizeof(RulePage) <= kRulePageBytes);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace railyard::passthrough
