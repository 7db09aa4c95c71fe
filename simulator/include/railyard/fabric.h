// The control-and-inspection API of a simulated RDMA cluster.
//
// A Fabric is one shared-memory segment: nodes, devices, ports, cables, queue pairs, counters, faults
// and traces. Who creates it owns it: the segment and its name are gone when the owner's object is
// destroyed, and `sweep()` removes what a killed owner left behind. Programs join as ranks by running
// with the variables that `environment()` names and the simulator's libibverbs in front of the
// system's; they know nothing of this header.
//
// Thread-safety: a Fabric may be used from several threads; every call is short and none blocks unless
// it says so. Errors: every function throws fabric::Error with a one-line message.
// Times are nanoseconds of the fabric's clock since the segment was created.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace railyard::fabric {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// ---------------------------------------------------------------------------------------------
// What a cluster is made of.

struct NodeSpec {
  std::string name;
  std::vector<std::string> devices;  // each with one port
};

// One plug: "node0/rdma_en3" (a device's port) or the name of a switch.
struct CableSpec {
  std::string name;
  std::string ends[2];
};

struct ClusterSpec {
  std::string profile = "permissive";  // a shipped profile's name or the path of a profile's file
  std::string profile_overrides;       // a JSON object merged over the profile (RFC 7386), or empty
  std::vector<NodeSpec> nodes;
  std::vector<std::string> switches;  // ports cabled to one switch all reach each other
  std::vector<CableSpec> cables;
};

// The names of the profiles compiled into this library.
std::vector<std::string> shipped_profiles();

// The JSON text of a shipped profile or of a profile's file.
std::string profile_text(const std::string& name_or_path);

// What a profile gives a node by default: the n-th device's name ("rdma_en2", "mlx5_0").
std::string default_device_name(const std::string& profile, int index);

// A cluster of `nodes` nodes as the profile's users would cable it: every pair by `rails` cables of
// their own where the profile is point to point, every device to one switch otherwise. Cables are
// named c1, c2, ... in the order of (lower node, higher node, rail).
ClusterSpec default_cluster(const std::string& profile, int nodes, int rails = 1);

// Throws Error naming the offending place ("cables/c1/0: node0 has no device 'rdma_en9', it has ...")
// without creating anything.
void check(const ClusterSpec& spec);

// ---------------------------------------------------------------------------------------------
// What can be seen. Indices point into the vectors of the same Snapshot; -1 says "none".

// How a process passes its time, as far as the fabric can tell.
enum class Activity {
  elsewhere,  // not in a verb and not polling: computing, or waiting for something outside the fabric
  polling,    // polls completion queues and finds nothing
  blocked,    // inside a verb that does not return (see `verb`)
  exited,
};

struct ProcessView {
  int index = -1;
  pid_t pid = 0;
  int node = -1;
  bool alive = false;
  Activity activity = Activity::elsewhere;
  std::string verb;            // the verb it is inside of, or the last one it called
  int64_t verb_since_ns = 0;   // when that call began
  std::string waits_for;       // what a blocked verb waits for, in words
  int blocked_device = -1;     // the device a blocked verb waits for
  uint64_t progress = 0;       // grows with every event that is not an empty poll
  uint64_t empty_polls = 0;    // grows with every poll that found nothing
  int64_t progress_at_ns = 0;  // time of the last progress
};

struct ContextView {
  int process = -1;
  int device = -1;
  int64_t opened_at_ns = 0;
  int protection_domains = 0, completion_queues = 0, queue_pairs = 0, memory_regions = 0;
};

struct DeviceView {
  std::string name;
  int node = -1;
  int port = -1;
  int context_limit = 0;  // 0: no limit
  int waiters = 0;        // processes blocked in ibv_open_device
  bool failed = false;
  uint64_t refusals[5] = {};  // by Resource: asked beyond the limit
};

struct PortView {
  int device = -1;
  int cable = -1;       // what is plugged into it
  bool active = false;  // a cable leads to a live port or switch
  uint64_t messages_out = 0, messages_in = 0;
  uint64_t bytes_out = 0, bytes_in = 0;

  // Of all its queue pairs, those that are gone included (but for those of killed processes).
  uint64_t messages_lost = 0;         // never arrived: no cable, no queue pair, a fault
  uint64_t completions_in_error = 0;  // but for flushed ones
  std::string last_error;             // "IBV_WC_REM_OP_ERR"
  uint64_t changed_in_flight = 0;     // see QueuePairView
  uint64_t unread_receives = 0;       // messages that had arrived when their queue was destroyed
  uint32_t gid_rows = 0;              // bit k: row k of the GID table is filled
};

// What passed one direction of a cable while any link was shaped or any message fault armed.
struct LinkView {
  uint64_t messages = 0, lost = 0, corrupted = 0, duplicated = 0, reordered = 0;
};

struct CableView {
  std::string name;
  int ports[2] = {-1, -1};  // -1: unplugged at that end, or a switch
  int switches[2] = {-1, -1};
  bool plugged = true;
  int original_ports[2] = {-1, -1};  // as the cluster was built
  int64_t changed_at_ns = 0;         // 0: never
  LinkView links[2];                 // from end 0, from end 1
};

struct QueuePairView {
  uint32_t number = 0;
  int process = -1;
  int context = -1;
  int device = -1;
  int port = -1;
  std::string type;   // "RC", "UC", "UD"
  std::string state;  // "INIT", "RTS", "ERR", ...

  // Where it is told to talk to.
  uint32_t send_psn = 0;  // packet sequence number of its first packet
  uint32_t peer_number = 0;
  int peer_port = -1;    // the port with the address it was given, -1: no such address
  int peer = -1;         // the queue pair there, -1: none with that number, or it talks to another
  bool reachable = false;  // a cable (or switch) joins its port to peer_port

  uint64_t sends_posted = 0;     // by the program
  uint64_t sends_settled = 0;    // decided: delivered, lost or refused
  uint64_t sends_completed = 0;  // completions written (signalled or not)
  uint64_t sends_lost = 0;       // never arrived: no cable, no queue pair, a fault
  uint64_t receives_posted = 0;
  uint64_t receives_filled = 0;  // consumed by a message

  // Messages that met no receive and were dropped (profile rule "drop"), and the latest of them.
  uint64_t dropped_no_receive = 0;
  int64_t dropped_at_ns = 0;
  int64_t receive_posted_after_drop_ns = 0;  // when the next receive came; 0: not yet
  uint64_t receiver_not_ready = 0;           // RNR NAKs answered
  uint64_t frame_mismatches = 0;
  uint64_t changed_in_flight = 0;  // while memory is watched: sends whose memory changed too early
  uint64_t reached_in = 0;  // WRITEs and READs that its peer carried out in its process's memory by itself
  uint64_t copied_plainly = 0;  // payloads that its process copied from or to pages its peer shares, by no system call

  // The oldest message that is not settled yet: what the queue pair itself waits for.
  std::string waiting_opcode;
  uint64_t waiting_bytes = 0;
  uint64_t completions_in_error = 0;
  std::string last_error;  // "IBV_WC_RNR_RETRY_EXC_ERR"
};

struct CompletionQueueView {
  int process = -1;
  int context = -1;
  uint64_t written = 0;  // completions
  uint64_t read = 0;     // by the program
  bool armed = false;    // a thread waits for an event
};

struct FaultView {
  int id = -1;
  uint64_t fired = 0;
  int64_t first_fired_ns = 0;
  std::string evidence;     // what it touched and what changed, in words; empty before it fired
  uint32_t queue_pair = 0;  // the number of the one it touched last, 0: none
};

struct Snapshot {
  int64_t now_ns = 0;
  // A number that changes whenever anything but an empty poll happens anywhere in the fabric.
  uint64_t activity = 0;
  // Messages or timers that will change something by themselves.
  int in_flight = 0;
  std::vector<ProcessView> processes;
  std::vector<ContextView> contexts;
  std::vector<DeviceView> devices;
  std::vector<PortView> ports;
  std::vector<CableView> cables;
  std::vector<QueuePairView> queue_pairs;
  std::vector<CompletionQueueView> completion_queues;
  std::vector<FaultView> faults;
};

enum class TraceKind {
  post_send,
  post_receive,
  receive_done,
  send_done,
  lost,  // on its way, or at a receiver that had no receive
  state,
  open_device,
  close_device,
  arrived,  // a one-sided operation has been done at its target
};

struct TraceEvent {
  int64_t at_ns = 0;
  int process = -1;
  TraceKind kind = TraceKind::state;
  uint32_t queue_pair = 0;  // its number, 0: none
  // The same where a message is sent and where it arrives, and unlike all others'; 0: none, or one that
  // never got onto a wire.
  uint64_t message = 0;
  uint32_t request = 0;  // which of its queue pair's sends or receives, from 0
  uint64_t bytes = 0;
  int port = -1;             // of a state: where the queue pair is,
  int peer_port = -1;        // and, once it is told (from RTR on), whom it talks to
  uint32_t peer_number = 0;
  const char* detail = "";   // the opcode, completion status or state: "SEND", "IBV_WC_SUCCESS", "RTS"
  std::string text() const;  // "post_send SEND", "recv done IBV_WC_SUCCESS", "state RTS"
};

// How far a reader has come in every process's trace.
struct TraceCursor {
  std::vector<uint64_t> next;
  uint64_t missed = 0;  // events that newer ones had overwritten before they were read
};

// ---------------------------------------------------------------------------------------------
// Faults.

// What happens to a call of a verb. Matched in the process of `node` (-1: every node).
struct VerbFault {
  enum class Action {
    fail,                // return `error_number` (or NULL with errno)
    block,               // never return
    block_until_arrival, // ibv_post_recv: wait until a message for the queue pair has arrived
    delay,               // wait for `delay_ns`, then go on
    alter,               // ibv_poll_cq: the nth completion says status `error_number` (enum ibv_wc_status)
  };
  std::string verb;  // "ibv_post_recv", "ibv_create_qp", ...
  int node = -1;
  uint64_t nth = 1;       // the first call it acts on, counted from 1 per process
  uint64_t times = 1;     // how many calls
  bool from_now = false;  // calls are counted from when it is armed, over all processes of the node
  Action action = Action::fail;
  int error_number = 0;
  int64_t delay_ns = 0;
};

// The verbs that a fault can act on: "ibv_open_device", ...
std::vector<std::string> verb_names();

// What happens to messages that pass a cable, counted from when it is armed.
struct MessageFault {
  enum class Action {
    drop,       // a reliable sender tries again after its time-out
    delay,      // by `delay_ns`; what follows in its connection waits behind it
    corrupt,    // one bit; lost where the device checks integrity
    duplicate,  // seen by datagrams alone: connections know what they have had
    hold,       // until release()
  };
  int cable = -1;
  int from_end = -1;  // the direction: from end 0 or 1; -1: both
  uint64_t nth = 1;   // the first message it acts on
  uint64_t times = 1;
  Action action = Action::drop;
  int64_t delay_ns = 0;
};

// What a device has a limited number of.
enum class Resource { contexts, protection_domains, completion_queues, queue_pairs, memory_regions };

// How one direction of a cable shapes its traffic. Chances are per message, between 0 and 1, drawn from the
// seed and the message's number: the same run draws the same.
struct LinkModel {
  double latency_ns = 0;
  double bandwidth_bytes_per_s = 0;  // 0: as fast as memory
  double loss = 0, corruption = 0, duplication = 0, reordering = 0;
  uint64_t seed = 1;
};

// How a cable between two devices of a profile was measured to behave (the profile's "link", with sources).
// Cables do that only where they are told to: see Fabric::shape().
LinkModel measured_link(const std::string& profile, const std::string& overrides = "");

// Evidence of an operation on cables.
struct CableChange {
  int64_t at_ns = 0;
  bool changed = false;  // false: the cluster was already like that
  std::string evidence;  // "c1: node0/rdma_en3 - node1/rdma_en4 (was node1/rdma_en3)"
};

// ---------------------------------------------------------------------------------------------

class Fabric {
 public:
  // Builds the segment and returns its owner. Checks `spec` first.
  static Fabric create(const ClusterSpec& spec);

  // Opens another's fabric for inspection and faults.
  static Fabric attach(const std::string& name);

  Fabric(Fabric&&) noexcept;
  Fabric& operator=(Fabric&&) noexcept;
  ~Fabric();

  const std::string& name() const;

  // The variables with which a process becomes a program on `node`, apart from the loader's path.
  std::vector<std::pair<std::string, std::string>> environment(int node) const;

  int node_count() const;
  int node(const std::string& name) const;    // -1: none
  int cable(const std::string& name) const;   // -1: none
  std::string port_name(int port) const;      // "node0/rdma_en3"

  Snapshot snapshot() const;
  // Lets every process keep its last events, from now on or no longer. Off at first: it costs each
  // message some tens of nanoseconds.
  void record_trace(bool on);
  // The last `most` recorded events of every process, oldest first.
  std::vector<TraceEvent> trace(size_t most) const;
  // What has been recorded since the cursor, oldest first; moves the cursor. A process keeps its last
  // few thousand events: who reads too rarely finds in the cursor how many were missed.
  std::vector<TraceEvent> trace_since(TraceCursor& cursor) const;
  int64_t now_ns() const;

  // Cables, each one operation for all who look.
  CableChange unplug(int cable);
  CableChange plug(int cable);
  // Exchanges the plugs of two cables at one node.
  CableChange swap(int first, int second, int node);

  // Moves the plug at one end (0 or 1) of a cable into a port that has none. Throws where the port is
  // taken or that end leads to a switch.
  CableChange replug(int cable, int end, int port);

  // Shapes a cable from one end (0 or 1) or from both (-1).
  void shape(int cable, int from_end, const LinkModel& model);

  // Leaves a device with so many of something (-1: as the profile says). What it has given stays given.
  void limit(int device, Resource resource, int most);
  // Writes a row of a port's GID table, or (nullopt) empties it; returns what changed, in words.
  CableChange set_gid(int port, int index, const std::optional<std::array<uint8_t, 16>>& gid);
  // The device is broken from now on: IBV_EVENT_DEVICE_FATAL, all its queue pairs in error.
  void fail_device(int device);
  // Lets every send be checked for memory that changes before it is complete (a producer that had not
  // finished); costs each message two looks at its payload.
  void watch_memory(bool on);

  // Arms a fault; its view in the snapshot says whether it fired.
  int arm(const VerbFault& fault);
  int arm(const MessageFault& fault);
  // Lets the messages arrive that a fault holds.
  void release(int fault);
  void disarm(int fault);

  // Records that a process is gone (after waitpid): its queue pairs vanish and its share of the
  // devices is free. Also done for processes found dead without being told.
  void reap(pid_t pid);

 private:
  struct Impl;
  explicit Fabric(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Removes segments of this user whose owner is gone; returns how many. Every create() does it first.
int sweep();

}  // namespace railyard::fabric
