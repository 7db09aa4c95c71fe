// The layout of a fabric's shared-memory segment.
//
//   SegmentHeader | nodes | devices | ports | cables | switches | processes | contexts |
//   queue pairs | completion queues | shared queues | shares | faults | block owners | blocks
// (of 16 KiB)
//
// Two rules make the death of a process at any instruction harmless to the others:
//   1. A word has one writer, the process whose record it lies in. A record's first word says whose it
//      is; it is claimed and given back by compare-and-swap, and what a dead process held is given back
//      by whoever finds it dead.
//   2. The exceptions are words that are right at every moment whoever wrote them last: doorbells,
//      the cables (written by the owner of the fabric), and a device's lock, which can be taken over
//      from a dead holder because it guards no state of its own.
// Big things (send rings, staged payloads, traces) lie in blocks that a process owns.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "fabric/layout_version.h"
#include "fabric/profile.h"

namespace railyard::fabric::layout {

template <typename T>
using Shared = std::atomic<T>;
static_assert(Shared<uint64_t>::is_always_lock_free && Shared<uint32_t>::is_always_lock_free);

inline constexpr uint64_t kMagic = 0x4452415952414c49;  // changes never
inline constexpr uint32_t kVersion = RAILYARD_LAYOUT_VERSION;
inline constexpr size_t kNameBytes = 32;
inline constexpr uint32_t kUnowned = 0;  // a block's owner: process + 1, or this
inline constexpr size_t kBlockBytes = 16 * 1024;  // a page of Apple's machines
inline constexpr size_t kSegmentBytes = size_t{16} << 30;  // sparse
inline constexpr size_t kCacheLine = 64;

inline constexpr uint32_t kMaxProcesses = 4096;
inline constexpr uint32_t kMaxContexts = 16384;
inline constexpr uint32_t kMaxQueuePairs = 65536;
inline constexpr uint32_t kMaxCompletionQueues = 65536;
inline constexpr uint32_t kMaxSharedQueues = 16384;
inline constexpr uint32_t kMaxShares = 16384;
inline constexpr uint32_t kMaxFaults = 256;
inline constexpr uint32_t kVerbCount = 64;  // see verb.h
inline constexpr uint32_t kGidsPerPort = 4;
inline constexpr uint32_t kMaxGroups = 8;  // multicast groups of a queue pair
inline constexpr uint32_t kTraceEvents = 4096;  // a process's; a power of two

// Bits of SegmentHeader::gate: why a verb must look closer.
inline constexpr uint32_t kGateFaults = 1, kGateSimulatedTime = 2, kGateTrace = 4, kGateLinks = 8,
                          kGateMemory = 16;

struct alignas(kCacheLine) SegmentHeader {
  uint64_t magic;
  uint32_t version;
  Shared<uint32_t> ready;
  uint64_t bytes;
  int32_t owner_pid;
  uint64_t owner_start_time;
  uint64_t epoch_ticks;
  double ticks_per_second;
  uint32_t node_count, device_count, port_count, cable_count, switch_count, block_count;
  uint64_t nodes, devices, ports, cables, switches, processes, contexts, queue_pairs,
      completion_queues, shared_queues, shares, faults, block_owners, blocks;  // offsets
  Profile profile;

  // Read by every verb, written hardly ever.
  alignas(kCacheLine) Shared<uint32_t> gate;
  Shared<uint32_t> topology_epoch;  // changes with every cable
  Shared<uint32_t> sharing_epoch;   // changes with every XRC receiver
  Shared<uint64_t> simulated_ticks;

  // How far the tables may have been used: the highest index that anybody tried to claim so far + 1.
  alignas(kCacheLine) Shared<uint32_t> processes_used;
  Shared<uint32_t> contexts_used, queue_pairs_used, completion_queues_used, shared_queues_used, shares_used;
  Shared<uint32_t> next_queue_pair;  // where to look for a free one: numbers are reused late
  Shared<uint32_t> next_block, blocks_used;
  Shared<uint32_t> next_connection;
};

// What a device has a limited number of; Device::limits is indexed by it.
enum class Resource : uint32_t {
  contexts,
  protection_domains,
  completion_queues,
  queue_pairs,
  memory_regions,
};
inline constexpr size_t kResources = 5;

struct Node {
  char name[kNameBytes];
  uint32_t first_device, device_count;
};

struct Gid {
  uint8_t raw[16];
  uint32_t type;  // enum ibv_gid_type: 0 InfiniBand, 1 RoCE v1, 2 RoCE v2
  uint32_t present;
};

struct alignas(kCacheLine) Device {
  char name[kNameBytes];
  uint32_t node, port;
  uint64_t guid;
  Shared<uint32_t> lock;          // RobustLock: index of the holding process + 1
  Shared<uint64_t> failed_ticks;  // when the whole device failed, by a fault; 0: it has not
  Shared<int32_t> limits[kResources];  // by a fault: most + 1; 0: as the profile says
  Shared<uint64_t> refusals[kResources];  // asked beyond a limit
};

inline constexpr int32_t kNowhere = -1;

struct alignas(kCacheLine) Port {
  uint32_t device;
  uint16_t lid;
  uint16_t number;  // of its device, from 1
  Gid gids[kGidsPerPort];
  // Of the queue pairs that are gone; those that live count for themselves.
  Shared<uint64_t> messages_out, bytes_out, messages_in, bytes_in;
  Shared<uint64_t> lost, errors, changed_in_flight;
  Shared<uint64_t> unread;      // receives that were complete when their queue was destroyed
  Shared<uint32_t> last_error;  // enum ibv_wc_status
};

// Where a cable's plug is: a port, a switch, or nowhere.
struct Plug {
  Shared<int32_t> port;
  Shared<int32_t> switch_index;
};

// One direction of a cable: how it shapes what passes, and what has passed while anything was shaped.
// Chances are in units of 2^-32.
struct alignas(kCacheLine) Link {
  Shared<uint32_t> shaped;
  Shared<uint32_t> loss, corruption, duplication, reordering;
  Shared<uint64_t> latency_ticks;
  Shared<double> ticks_per_byte;
  Shared<uint64_t> seed;
  Shared<uint64_t> busy_until;  // ticks; what comes earlier queues
  Shared<uint64_t> messages, lost, corrupted, duplicated, reordered;
};

struct alignas(kCacheLine) Cable {
  char name[kNameBytes];
  Plug ends[2];
  int32_t original_ports[2];
  int32_t original_switches[2];
  Shared<uint32_t> plugged;
  Shared<uint64_t> changed_ticks;  // 0: never
  Link links[2];                   // from end 0, from end 1
};

struct Switch {
  char name[kNameBytes];
};

// Dead: what it put on wires is still there for those who have not looked. Reaping: somebody gives back
// what it held. Buried: nothing of it is left but this record and its trace.
enum RecordState : uint32_t { kFree = 0, kClaimed, kLive, kDead, kReaping, kBuried };
// Claimed, live and reaping say whose they are, in Process::state: one who claims or reaps and dies is
// followed by another, and who is taken for dead is the one that was looked at.
inline constexpr uint32_t kStateBits = 3;
constexpr uint32_t state_with(RecordState state, int32_t pid) {
  return state | static_cast<uint32_t>(pid) << kStateBits;
}
constexpr RecordState state_of(uint32_t word) {
  return static_cast<RecordState>(word & ((1u << kStateBits) - 1));
}
constexpr int32_t pid_of(uint32_t word) { return static_cast<int32_t>(word >> kStateBits); }

// One event in a process's trace. A message has the same number in its sender's trace and in its
// receiver's: its stamp on the ring, or see datagram_number(). 0: it never got onto a wire.
struct TraceRecord {
  uint64_t ticks;
  uint64_t message;
  uint32_t bytes;
  uint32_t queue_pair;
  uint32_t request;  // which of its queue pair's sends or receives, from 0
  uint8_t kind;      // TraceKind
  uint8_t detail;
  Shared<uint16_t> lap;  // which round of the ring, from 1; 0 while it is written
};
static_assert(sizeof(TraceRecord) == 32);

inline constexpr uint64_t kTraceBytes = kTraceEvents * sizeof(TraceRecord);
inline uint16_t trace_lap(uint64_t event) {
  return static_cast<uint16_t>(event / kTraceEvents % 0xffff + 1);
}

enum class TraceKind : uint8_t {
  post_send,     // detail: opcode
  post_receive,
  receive_done,  // detail: status
  send_done,     // detail: status
  lost,          // detail: 0 on its way, 1 at a receiver that had no receive
  state,         // detail: the new state; message: the peer's port + 1 << 32 | its queue pair
  open_device,
  close_device,
  arrived,       // a one-sided operation has been done at its target; detail: opcode
};

struct alignas(128) Process {
  Shared<uint32_t> state;  // RecordState, state_with() a pid where it is somebody's
  int32_t pid;
  uint64_t start_time;
  uint32_t node;
  uint64_t trace;          // offset of kTraceEvents records, 0: none
  uint64_t probe_address;  // of a word that holds kMagic, in its private memory
  Shared<uint64_t> died_ticks;

  alignas(kCacheLine) Shared<uint64_t> progress;
  Shared<uint64_t> progress_ticks;
  Shared<uint64_t> empty_polls;
  Shared<uint64_t> trace_count;

  alignas(kCacheLine) Shared<uint32_t> verb;     // Verb: the last one called
  Shared<uint32_t> blocked;                      // threads that wait inside a verb
  Shared<uint64_t> verb_ticks;
  Shared<int32_t> blocked_device;
  Shared<uint32_t> wait_reason;                  // WaitReason

  alignas(kCacheLine) Shared<uint32_t> doorbell;  // written by all
  Shared<uint32_t> helper_asleep;

  // Pages of its memory that lie in the segment, so that peers reach them without a system call.
  alignas(kCacheLine) Shared<uint64_t> shared_pages;  // offset of kMostShared SharedPages, 0: none
  Shared<uint32_t> moving_pages;  // 1 while some move there or back: nobody reaches into its memory
  Shared<uint64_t> wanted_pages;  // written by all: an address that peers reach often, 0: none

  alignas(kCacheLine) Shared<uint64_t> completions;  // read; both counted while kGateFaults is set
  Shared<uint64_t> calls[kVerbCount];
};

// Changed only while nobody reaches into its owner's memory.
struct SharedPages {
  uint64_t address;  // in its owner's memory
  uint64_t bytes;    // 0: none
  uint64_t offset;   // in the segment
};
inline constexpr uint32_t kMostShared = 64;

enum class WaitReason : uint32_t { none, context_limit, completion_event, async_event, fault, arrival };

struct alignas(kCacheLine) Context {
  Shared<uint32_t> owner;   // process + 1, 0: free
  Shared<uint32_t> device;  // its index + 1, 0: none yet
  uint64_t opened_ticks;
  Shared<uint64_t> regions;  // offset of kShownRegions of them, 0: none
  Shared<int32_t> protection_domains, completion_queues, queue_pairs, memory_regions;
};

// A memory region of a context, as its peers need it to reach into it without its process. An entry
// with a key does not change: to change it, its owner takes the key away and waits until nobody who may
// have seen it is reaching.
struct alignas(kCacheLine) Region {
  Shared<uint32_t> key;  // written last; 0: none
  int32_t access;        // enum ibv_access_flags
  uint64_t domain;       // as QueuePair::protection_domain
  uint64_t address;      // as work requests name it
  uint64_t bytes;
  uint64_t base;         // where it is in the owner's memory
  uint64_t sound_bytes;  // offsets beyond wrap around
};
inline constexpr uint32_t kShownRegions = kBlockBytes / sizeof(Region);

// Bits of QueuePair::attention.
inline constexpr uint32_t kHasChannel = 1, kArmed = 2;

// A queue pair. A connection is one life of the sender talking to one life of its peer: when either
// begins anew, so does the ring. Lives and connections are never 0 and never the same twice.
struct alignas(128) QueuePair {
  Shared<uint32_t> owner;  // process + 1, 0: free
  uint32_t context;
  uint32_t device;
  uint32_t port;
  uint32_t type;           // enum ibv_qp_type
  Shared<uint32_t> state;  // enum ibv_qp_state
  Shared<uint64_t> life;        // one from each move to RTR to the end of receiving; then 0
  Shared<uint64_t> connection;  // what the messages on its ring belong to; 0: none
  Shared<uint32_t> peer_number;
  Shared<int32_t> peer_port;
  uint64_t ring;           // offset of the send ring's slots; of a datagram queue pair's inbox
  uint32_t ring_mask;
  uint32_t slot_bytes;
  Shared<uint32_t> attention;
  Shared<uint32_t> send_psn, receive_psn;
  Shared<uint32_t> retries;  // rnr_retry | retry_count << 8 | timeout << 16 | min_rnr_timer << 24
  Shared<uint32_t> remote_access;  // enum ibv_access_flags
  uint64_t protection_domain;      // a number of its process's

  // As the sender.
  alignas(kCacheLine) Shared<uint64_t> posted;
  Shared<uint64_t> completed;
  Shared<uint64_t> lost;
  Shared<uint64_t> on_wire;    // messages put on the ring in this connection
  Shared<uint64_t> bytes_out;
  Shared<uint64_t> reaching;     // odd while its process reaches into the peer's memory

  // As the receiver: what became of the messages of connection `adopted`. Read by their sender.
  alignas(kCacheLine) Shared<uint64_t> adopted;
  Shared<uint64_t> settled;     // so many messages are decided
  Shared<uint64_t> refused_at;  // the message refused + 1; 0: none
  Shared<uint32_t> refused_status;
  Shared<uint32_t> can_copy;    // its process can read the sender's memory
  Shared<uint64_t> copying;     // odd while its process copies a payload from or to the sender's memory

  // For those who look on.
  alignas(kCacheLine) Shared<uint64_t> receives_posted;
  Shared<uint64_t> receives_filled;
  Shared<uint64_t> messages_in, bytes_in;
  Shared<uint64_t> dropped;
  Shared<uint64_t> dropped_ticks;
  Shared<uint64_t> receive_after_drop_ticks;
  Shared<uint64_t> not_ready;
  Shared<uint64_t> frame_mismatches;
  Shared<uint64_t> changed_in_flight;  // sends whose memory changed before they were complete
  Shared<uint32_t> errors;
  Shared<uint32_t> last_error;  // enum ibv_wc_status

  // Datagram queue pairs: where in the inbox the next sender should try, and the groups joined.
  alignas(kCacheLine) Shared<uint64_t> inbox_tail;
  Shared<uint64_t> groups[kMaxGroups][2];  // GIDs as two words; 0, 0: none
  // Connected ones: messages that the peer has carried out itself, who counts them here.
  Shared<uint64_t> reached_in;
  Shared<uint64_t> copied_plainly;  // payloads that its process copied from or to shared pages

  // An XRC receiver is whoever's shares in it, and each of its messages is settled by the process whose
  // shared receive queue it names. So what a receiver knows lies here, and is changed under the lock.
  alignas(kCacheLine) Shared<uint32_t> lock;  // RobustLock
  Shared<uint32_t> error_event;    // enum ibv_event_type: what each holder's program is told of; see kNoEvent
  Shared<uint64_t> domain;         // 0: none
  Shared<uint64_t> adopted_life;   // in which `adopted` was
  Shared<uint64_t> settled_ticks;  // of the latest message
  std::byte attributes[192];       // ibv_qp_attr, as set so far
};
inline constexpr uint32_t kNoEvent = ~uint32_t{0};

struct alignas(kCacheLine) CompletionQueue {
  Shared<uint32_t> owner;
  uint32_t context;
  Shared<uint64_t> written, read;
  Shared<uint32_t> armed;
};

// A shared receive queue; its index is the number by which XRC senders name it.
struct alignas(kCacheLine) SharedQueue {
  Shared<uint32_t> owner;
  uint32_t context;
  Shared<uint64_t> domain;     // its XRC domain's number; 0: none
  Shared<uint32_t> attention;  // as a queue pair's, of the completion queue behind it
};

// A context's share in an XRC domain, or in a receiver of one: those live for as long as anybody has a share.
struct alignas(kCacheLine) Share {
  Shared<uint32_t> owner;
  uint32_t context;
  uint32_t device;
  uint32_t queue_pair;         // 0: in the domain itself
  uint64_t file_system, file;  // by which others may open the domain; 0: they may not
  Shared<uint64_t> domain;     // its number; 0: this is not filled in yet
};

// How a message's payload travels.
enum class Carriage : uint8_t {
  in_slot,  // in the slot's body
  staged,   // in a block; the body holds its offset
  gather,   // in the sender's memory; the body lists the pieces
};

// Bits of Slot::flags and Datagram::flags.
inline constexpr uint8_t kSolicited = 1, kCorrupted = 2;
inline constexpr uint8_t kStranded = 4;  // posted while there was no way

// One message in a send ring, written by the sender and read by the receiver. The first cache line holds
// all of a short message: one transfer between cores.
struct alignas(kCacheLine) Slot {
  // connection << 40 | sequence + 1; written last.
  Shared<uint64_t> stamp;
  // Or kHeld | a fault's index: when that releases it. 0: its sender is about to write it.
  Shared<uint64_t> arrival_ticks;
  uint32_t bytes;
  uint8_t opcode;         // enum ibv_wr_opcode
  Carriage carriage;
  uint8_t flags;
  uint8_t pieces;
  uint32_t immediate;
  uint32_t remote_key;
  uint64_t remote_address;
  std::byte body[24];     // and on, to slot_bytes; of XRC the last word is the shared receive queue
};
static_assert(sizeof(Slot) == kCacheLine);
inline constexpr uint64_t kHeld = uint64_t{1} << 63;
inline constexpr size_t kSlotHeaderBytes = offsetof(Slot, body);
inline constexpr size_t kSharedQueueBytes = 8;
// A sender that begins anew writes over messages that its peer may still look at: whoever judges a word of one, and then
// acts by it, reads it once.
template <typename Word>
Word read_once(const Word& word) {
  return *const_cast<const volatile Word*>(&word);
}
inline uint64_t& shared_queue_word(Slot& slot, uint64_t slot_bytes) {
  return *reinterpret_cast<uint64_t*>(reinterpret_cast<std::byte*>(&slot) + slot_bytes - kSharedQueueBytes);
}

struct DatagramHeader {
  uint64_t arrival_ticks;  // as a slot's
  uint32_t bytes;
  uint32_t immediate;
  uint32_t source_number;
  uint32_t source_port;
  uint32_t qkey;
  uint8_t opcode;
  uint8_t flags;
  uint8_t service_level;
  uint8_t global;  // it has a GRH
  uint8_t source_gid[16], destination_gid[16];
  uint64_t message;  // for traces
};

// One datagram in the inbox of its receiver, written by whichever sender claimed the slot. `claim` is
// ticket << 20 | process + 1 while a sender fills it, with 0 for the process while it is free for that
// ticket; a sender that dies in between is skipped by the receiver.
struct alignas(kCacheLine) Datagram {
  Shared<uint64_t> claim;
  Shared<uint64_t> stamp;  // ticket + 1; written last
  DatagramHeader header;
};  // then the payload, to slot_bytes
inline std::byte* payload_of(Datagram& datagram) { return reinterpret_cast<std::byte*>(&datagram + 1); }
inline constexpr uint64_t kClaimShift = 20;
static_assert(kMaxProcesses < 1u << kClaimShift);

struct Piece {
  uint64_t address;
  uint64_t bytes;
};

// The body of an atomic operation's slot.
struct Atomic {
  uint64_t result;  // offset of where the former value goes
  uint64_t compare_add;
  uint64_t swap;
};

inline uint64_t stamp_of(uint64_t connection, uint64_t sequence) {
  return connection << 40 | ((sequence + 1) & ((uint64_t{1} << 40) - 1));
}

// A datagram belongs to no connection: its sender's number stands in, where no connection's reaches.
inline uint64_t datagram_number(uint32_t queue_pair, uint64_t sequence) {
  return stamp_of(1u << 23 | queue_pair, sequence);
}
static_assert(kMaxQueuePairs <= 1u << 23);

enum class FaultKind : uint32_t { verb, message };
enum class FaultAction : uint32_t { fail, block, block_until_arrival, delay, alter, drop, corrupt, duplicate, hold };

struct alignas(kCacheLine) Fault {
  Shared<uint32_t> armed;
  FaultKind kind;
  uint32_t verb;
  int32_t node;  // -1: all
  int32_t cable, from_end;  // of a message; from_end -1: both
  uint32_t from_now;        // of a verb: calls are counted from when it was armed
  Shared<uint64_t> seen;    // messages, or calls from now, that it might have acted on
  Shared<uint64_t> released_ticks;
  uint64_t nth, times;
  FaultAction action;
  int32_t error_number;
  int64_t delay_ns;
  Shared<uint64_t> fired;  // several processes may write it
  Shared<uint64_t> first_ticks;
  Shared<uint32_t> queue_pair;  // the one it touched last
  Shared<int32_t> process;
};

}  // namespace railyard::fabric::layout
