// What happened in a run, as the reports with a time axis tell it: timelines, traces, captures.
//
// Made while the run is watched, and bounded: beyond its limits the oldest messages are forgotten
// and times of traffic grow coarser; the counts stay exact. Times are nanoseconds of the fabric's
// clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace railyard::harness {

enum class RankActivity {
  starting,   // no group yet
  working,    // in verbs, or outside of them with something to do
  computing,  // it says so itself
  waiting,    // polls in vain
  blocked,    // inside a verb that does not return
  asleep,     // outside of verbs, in a call that another process ends
  stopped,
  leaving,  // its work is done
};
const char* activity_name(RankActivity activity);

// What a rank did as far as one look every few milliseconds tells.
struct RankSpan {
  int64_t from_ns = 0, to_ns = 0;
  RankActivity activity = RankActivity::starting;
  int operation = -1;  // index into the workload; -1: in none
  uint32_t first_iteration = 0, last_iteration = 0;
};

struct RecordedPort {
  std::string name;  // "node0/rdma_en3"
  int rank = -1;
};

struct RecordedCable {
  std::string name;
  std::string ends[2];  // as built: a port's or a switch's name
  std::string now[2];   // when the run ended; "": unplugged there
  bool plugged = true;
  int64_t changed_ns = 0;  // the latest change; 0: never
};

struct RecordedPair {
  uint32_t number = 0;
  int rank = -1;
  int port = -1;     // index into RunRecord::ports
  std::string type;  // "RC"
  uint32_t first_psn = 0;
  uint32_t peer_number = 0;
  int peer_port = -1;
};

struct RecordedMessage {
  uint64_t number = 0;          // the fabric's; 0: it never got onto a wire
  int64_t posted_ns = -1;       // -1 each: not seen
  int64_t arrived_ns = -1;      // a receive was filled, or the operation done at its target
  int64_t completed_ns = -1;    // at the sender
  uint32_t pair = 0, peer = 0;  // queue pair numbers of sender and receiver, 0: unknown
  uint32_t request = 0;         // which of its queue pair's sends
  uint64_t bytes = 0;
  const char* opcode = "";  // "SEND"
  const char* status = "";  // of the send's completion: "IBV_WC_SUCCESS"
  const char* lost = "";    // why it never arrived
};

// A port's messages in one slice of time.
struct Traffic {
  int64_t slice = 0;  // from_ns = slice * RunRecord::slice_ns
  int port = -1;
  uint64_t messages_out = 0, bytes_out = 0;
};

// An edge of the wait-for graph.
struct Wait {
  int rank = -1;
  int for_rank = -1;  // -1: for none in particular
  int port = -1;      // over which
  std::string what;   // "3 receives not filled"
};

// A call of a verb, or what came of one, that a library in front of the devices has noted.
struct RecordedVerb {
  int rank = -1;
  int64_t at_ns = 0;
  std::string text;  // "ibv_create_cq device=rdma_en3 errno=0 entries=501->501"
};

struct RunRecord {
  std::vector<std::string> nodes;  // rank k runs on node k
  std::vector<std::string> operations;
  std::vector<RecordedPort> ports;
  std::vector<RecordedCable> cables;
  std::vector<std::vector<RankSpan>> ranks;
  std::vector<RecordedPair> pairs;             // by number
  std::vector<RecordedMessage> messages;       // by time
  uint64_t messages_seen = 0;                  // of which the last are kept
  uint64_t messages_sent = 0, bytes_sent = 0;  // by the ports' counters
  uint64_t events_missed = 0;  // overwritten before they were read: their messages lack a time
  int64_t slice_ns = 0;
  std::vector<Traffic> traffic;     // by slice
  std::vector<Wait> waits;          // at the verdict
  std::vector<RecordedVerb> verbs;  // of hosts alone, by time

  const RecordedPair* pair(uint32_t number) const;  // nullptr: unknown
};

}  // namespace railyard::harness
