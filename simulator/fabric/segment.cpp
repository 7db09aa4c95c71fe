#include "fabric/segment.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "platform/process.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

using namespace layout;

namespace {

constexpr uint64_t align(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

void raise_to(Shared<uint32_t>& mark, uint32_t value) {
  uint32_t seen = mark.load(std::memory_order_relaxed);
  while (seen < value && !mark.compare_exchange_weak(seen, value, std::memory_order_release)) {
  }
}

void lower_to(Shared<uint32_t>& mark, uint32_t value) {
  uint32_t seen = mark.load(std::memory_order_relaxed);
  while (seen > value && !mark.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

Segment Segment::create(const std::string& name, const Counts& counts, const Profile& profile) {
  Segment segment(name, platform::SharedMemory::create(name, kSegmentBytes));
  uint64_t offset = sizeof(SegmentHeader);
  auto table = [&](uint64_t count, size_t record_bytes) {
    offset = align(offset, 128);
    uint64_t begin = offset;
    offset += count * record_bytes;
    return begin;
  };
  uint64_t nodes = table(counts.nodes, sizeof(Node));
  uint64_t devices = table(counts.devices, sizeof(Device));
  uint64_t ports = table(counts.devices, sizeof(Port));
  uint64_t cables = table(counts.cables, sizeof(Cable));
  uint64_t switches = table(counts.switches, sizeof(Switch));
  uint64_t fixed_end = offset;
  uint64_t processes = table(kMaxProcesses, sizeof(Process));
  uint64_t contexts = table(kMaxContexts, sizeof(Context));
  uint64_t queue_pairs = table(kMaxQueuePairs, sizeof(QueuePair));
  uint64_t completion_queues = table(kMaxCompletionQueues, sizeof(CompletionQueue));
  uint64_t shared_queues = table(kMaxSharedQueues, sizeof(SharedQueue));
  uint64_t shares = table(kMaxShares, sizeof(Share));
  uint64_t faults = table(kMaxFaults, sizeof(Fault));
  uint32_t block_count = static_cast<uint32_t>((kSegmentBytes - offset) / (kBlockBytes + 4)) - 1;
  uint64_t owners = table(block_count, sizeof(uint32_t));
  uint64_t blocks = align(offset, kBlockBytes);
  block_count = std::min<uint32_t>(block_count,
                                   static_cast<uint32_t>((kSegmentBytes - blocks) / kBlockBytes));

  if (!segment.memory_.commit(0, fixed_end) ||
      !segment.memory_.commit(faults, kMaxFaults * sizeof(Fault))) {
    platform::SharedMemory::unlink(name);
    throw Error(
        "no room for a simulated cluster: the file system that holds shared memory (/dev/shm) is "
        "full");
  }
  SegmentHeader& header = segment.header();
  header.magic = kMagic;
  header.version = kVersion;
  header.bytes = kSegmentBytes;
  header.owner_pid = getpid();
  header.owner_start_time = platform::process_start_time(getpid());
  header.ticks_per_second = platform::measure_ticks_per_second();
  header.epoch_ticks = platform::ticks();
  header.node_count = counts.nodes;
  header.device_count = header.port_count = counts.devices;
  header.cable_count = counts.cables;
  header.switch_count = counts.switches;
  header.block_count = block_count;
  header.nodes = nodes;
  header.devices = devices;
  header.ports = ports;
  header.cables = cables;
  header.switches = switches;
  header.processes = processes;
  header.contexts = contexts;
  header.queue_pairs = queue_pairs;
  header.completion_queues = completion_queues;
  header.shared_queues = shared_queues;
  header.shares = shares;
  header.faults = faults;
  header.block_owners = owners;
  header.blocks = blocks;
  header.profile = profile;
  header.topology_epoch.store(1);
  header.sharing_epoch.store(1);
  header.next_connection.store(1);
  header.next_queue_pair.store(
      16);  // 0 and 1 are special queue pairs; low numbers look like mistakes
  return segment;
}

Segment Segment::open(const std::string& name) {
  auto refuse = [&](const std::string& why) { return Error("fabric " + name + ": " + why); };
  std::optional<platform::SharedMemory> memory;
  try {
    memory = platform::SharedMemory::open(name);
  } catch (const std::system_error& error) {
    throw refuse(error.code().value() == EACCES
                     ? "belongs to another user"
                     : "there is none of that name (has its run ended?)");
  }
  if (memory->bytes() < sizeof(SegmentHeader)) throw refuse("is not a fabric");
  Segment segment(name, std::move(*memory));
  const SegmentHeader& header = segment.header();
  if (header.magic != kMagic) throw refuse("is not a fabric");
  if (header.version != kVersion) {
    throw refuse("has layout version " + std::to_string(header.version) + ", this library has " +
                 std::to_string(kVersion) + ": use the railyard and libibverbs of one build");
  }
  if (header.ready.load(std::memory_order_acquire) == 0) throw refuse("is not finished yet");
  return segment;
}

template <typename T>
bool Segment::commit(const T& record) const {
  auto offset = static_cast<size_t>(reinterpret_cast<const std::byte*>(&record) - memory_.data());
  return memory_.commit(offset, sizeof record);
}

std::optional<uint32_t> Segment::claim_process() const {
  // Records that somebody has had are backed already: asking again costs a system call each.
  uint32_t backed = header().processes_used.load(std::memory_order_acquire);
  // The dead stay to be looked at for as long as there are unused records.
  for (uint32_t wanted : {uint32_t{kFree}, uint32_t{kBuried}}) {
    for (uint32_t i = 0; i < kMaxProcesses; ++i) {
      Process& record = process(i);
      if (i >= backed && !commit(record)) return std::nullopt;
      raise_to(header().processes_used, i + 1);
      uint32_t expected = wanted;
      if (record.state.compare_exchange_strong(expected, state_with(kClaimed, getpid()))) {
        release(std::exchange(record.trace, 0), kTraceBytes);
        return i;
      }
    }
  }
  errno = ENOMEM;
  return std::nullopt;
}

namespace {

template <typename Record>
bool take(Record& record, uint32_t process) {
  uint32_t expected = 0;
  return record.owner.load(std::memory_order_relaxed) == 0 &&
         record.owner.compare_exchange_strong(expected, process + 1);
}

}  // namespace

template <typename T>
std::optional<uint32_t> Segment::claim(T& (Segment::*table)(uint32_t) const, uint32_t first,
                                       uint32_t count, Shared<uint32_t>& used,
                                       uint32_t process) const {
  for (uint32_t i = first; i < count; ++i) {
    T& record = (this->*table)(i);
    if (!commit(record)) return std::nullopt;
    // First: what somebody had taken who died here would not be found.
    raise_to(used, i + 1);
    if (take(record, process)) return i;
  }
  errno = ENOMEM;
  return std::nullopt;
}

std::optional<uint32_t> Segment::claim_context(uint32_t process) const {
  return claim(&Segment::context, 0, kMaxContexts, header().contexts_used, process);
}

std::optional<uint32_t> Segment::claim_completion_queue(uint32_t process) const {
  return claim(&Segment::completion_queue, 0, kMaxCompletionQueues, header().completion_queues_used,
               process);
}

std::optional<uint32_t> Segment::claim_shared_queue(uint32_t process) const {
  // From 1: a program that names none says 0.
  return claim(&Segment::shared_queue, 1, kMaxSharedQueues, header().shared_queues_used, process);
}

std::optional<uint32_t> Segment::claim_share(uint32_t process) const {
  return claim(&Segment::share, 0, kMaxShares, header().shares_used, process);
}

std::optional<uint32_t> Segment::claim_queue_pair(uint32_t process) const {
  for (uint32_t tried = 0; tried < kMaxQueuePairs; ++tried) {
    uint32_t i = header().next_queue_pair.fetch_add(1, std::memory_order_relaxed) % kMaxQueuePairs;
    if (i < 16) continue;
    if (!commit(queue_pair(i))) return std::nullopt;
    raise_to(header().queue_pairs_used, i + 1);
    if (take(queue_pair(i), process)) return i;
  }
  errno = ENOMEM;
  return std::nullopt;
}

// The table of the blocks' owners grows with its use.
bool Segment::open_blocks(uint32_t end) const {
  uint32_t used = header().blocks_used.load(std::memory_order_acquire);
  if (end <= used) return true;
  uint64_t entry = sizeof(Shared<uint32_t>);
  if (!memory_.commit(header().block_owners + used * entry, (end - used) * entry)) return false;
  raise_to(header().blocks_used, end);
  return true;
}

uint64_t Segment::allocate(uint64_t bytes, uint32_t process) const {
  auto wanted = static_cast<uint32_t>((bytes + kBlockBytes - 1) / kBlockBytes);
  uint32_t count = header().block_count;
  if (wanted == 0 || bytes > uint64_t{count} * kBlockBytes) return errno = ENOSPC, 0;
  // What was given back is taken again: where memory cannot be discarded, it stays little, and
  // warm.
  uint32_t start = header().next_block.load(std::memory_order_relaxed), position = start;
  for (uint32_t tried = 0; tried < 2 * count;) {
    if (position + wanted > count) {
      tried += count - position;
      position = 0;
    }
    if (!open_blocks(position + wanted)) return errno = ENOSPC, 0;
    uint32_t taken = 0;
    for (; taken < wanted; ++taken) {
      uint32_t expected = kUnowned;
      if (!block_owner(position + taken).compare_exchange_strong(expected, process + 1)) break;
    }
    if (taken == wanted) {
      header().next_block.compare_exchange_strong(start, position + wanted,
                                                  std::memory_order_relaxed);
      uint64_t offset = header().blocks + uint64_t{position} * kBlockBytes;
      if (memory_.commit(offset, uint64_t{wanted} * kBlockBytes)) return offset;
      for (uint32_t i = 0; i < wanted; ++i) block_owner(position + i).store(kUnowned);
      return errno = ENOSPC, 0;
    }
    for (uint32_t i = 0; i < taken; ++i) block_owner(position + i).store(kUnowned);
    position += taken + 1;
    tried += taken + 1;
  }
  return errno = ENOSPC, 0;
}

void Segment::release(uint64_t offset, uint64_t bytes) const {
  if (offset == 0) return;
  auto blocks = static_cast<uint32_t>((bytes + kBlockBytes - 1) / kBlockBytes);
  auto first = static_cast<uint32_t>((offset - header().blocks) / kBlockBytes);
  memory_.discard(offset, uint64_t{blocks} * kBlockBytes);
  for (uint32_t i = 0; i < blocks; ++i) {
    block_owner(first + i).store(kUnowned, std::memory_order_release);
  }
  lower_to(header().next_block, first);
}

const SharedQueue* Segment::find_shared_queue(uint64_t number, uint64_t domain) const {
  if (domain == 0 || number >= header().shared_queues_used.load(std::memory_order_acquire))
    return nullptr;
  const SharedQueue& queue = shared_queue(static_cast<uint32_t>(number));
  bool there = queue.owner.load(std::memory_order_acquire) != 0 &&
               queue.domain.load(std::memory_order_acquire) == domain;
  return there ? &queue : nullptr;
}

Limit limit_of(const Segment& segment, uint32_t device, layout::Resource resource) {
  const Profile& profile = segment.profile();
  const Limit limits[] = {profile.contexts, profile.protection_domains, profile.completion_queues,
                          profile.queue_pairs, profile.memory_regions};
  auto index = static_cast<size_t>(resource);
  Limit limit = limits[index];
  int32_t lowered = segment.device(device).limits[index].load(std::memory_order_relaxed);
  if (lowered != 0) limit.most = lowered == 1 ? kNothingLeft : lowered - 1;
  return limit;
}

void RobustLock::take(const Segment& segment, Shared<uint32_t>& word, uint32_t process) {
  uint32_t holder = 0;
  for (uint32_t tries = 1;
       !word.compare_exchange_weak(holder, process + 1, std::memory_order_acquire); ++tries) {
    if (holder != 0 && tries % 1024 == 0 && !segment.alive(holder - 1)) {
      // Its holder died: take it over, unless another already has.
      if (word.compare_exchange_strong(holder, process + 1, std::memory_order_acquire)) return;
    }
    holder = 0;
    sched_yield();
  }
}

}  // namespace railyard::fabric
