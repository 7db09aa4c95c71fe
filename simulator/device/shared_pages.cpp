#include "device/shared_pages.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "platform/doorbell.h"
#include "platform/ticks.h"

namespace railyard::sim {

namespace {

// Of the file system's room, so much is left for others.
constexpr uint64_t kLeftPerTaken = 8;
constexpr uint32_t kLooksPerPause = 256;
constexpr int64_t kPauseNs = 20'000;
// A peer that copies for longer does not run.
constexpr double kPatienceNs = 20e6;

}  // namespace

SharedPages::Choice SharedPages::choice() {
  static const Choice chosen = [] {
    const char* said = getenv("RAILYARD_SHARED_PAGES");
    if (!said) return Choice::when_hot;
    if (strcmp(said, "always") == 0) return Choice::always;
    return strcmp(said, "never") == 0 ? Choice::never : Choice::when_hot;
  }();
  return chosen;
}

bool SharedPages::system_can() {
  static const bool can = platform::pages_can_move() &&
                          layout::kBlockBytes % static_cast<size_t>(sysconf(_SC_PAGESIZE)) == 0;
  return can;
}

// While it exists, nobody begins to reach into this process's memory.
class SharedPages::Closed {
 public:
  explicit Closed(const SharedPages& pages) : pages_(pages) {
    pages_.record().moving_pages.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  ~Closed() { pages_.record().moving_pages.store(0, std::memory_order_release); }
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;

  // Waits until those are done who began before. False: one of them seems to be stopped.
  bool done() const {
    const fabric::Segment& segment = pages_.segment_;
    uint64_t deadline = platform::ticks() + segment.ticks_in_ns(kPatienceNs);
    for (uint32_t i = 0; i < segment.header().queue_pairs_used.load(); ++i) {
      const layout::QueuePair& pair = segment.queue_pair(i);
      for (uint32_t looks = 1; in_use(pair); ++looks) {
        platform::relax();
        if (looks % kLooksPerPause != 0) continue;
        if (platform::ticks() > deadline) return false;
        platform::pause_thread(kPauseNs);
        if (!segment.reaches_into(pair, pages_.process_)) break;
      }
    }
    return true;
  }

 private:
  bool in_use(const layout::QueuePair& pair) const {
    bool reaching = pair.reaching.load(std::memory_order_acquire) % 2 != 0 ||
                    pair.copying.load(std::memory_order_acquire) % 2 != 0;
    uint32_t peer = pair.peer_number.load(std::memory_order_relaxed);
    return reaching && peer < layout::kMaxQueuePairs &&
           pages_.segment_.queue_pair(peer).owner.load() == pages_.process_ + 1;
  }

  const SharedPages& pages_;
};

layout::SharedPages* SharedPages::table() {
  uint64_t offset = record().shared_pages.load(std::memory_order_relaxed);
  if (offset == 0) {
    offset = segment_.allocate(layout::kMostShared * sizeof(layout::SharedPages), process_);
    if (offset == 0) return nullptr;
    record().shared_pages.store(offset, std::memory_order_release);
  }
  return reinterpret_cast<layout::SharedPages*>(segment_.bytes_at(offset));
}

bool SharedPages::room_for(uint64_t bytes) const {
  if (bytes_ + bytes > kMostBytes) return false;
  struct statvfs system;
  return fstatvfs(segment_.memory().descriptor(), &system) == 0 &&
         uint64_t{system.f_bavail} * system.f_bsize / kLeftPerTaken >= bytes;
}

bool SharedPages::share(const std::byte* base, uint64_t bytes, uintptr_t hot) {
  uintptr_t window = hot / kWindowBytes * kWindowBytes, next = window + kWindowBytes;
  if (!share_window(base, bytes, window)) return false;
  uintptr_t first = reinterpret_cast<uintptr_t>(base), end = first + bytes;
  if (first < window && window - first <= kLittle) share_window(base, bytes, window - kWindowBytes);
  if (end > next && end - next <= kLittle) share_window(base, bytes, next);
  return true;
}

bool SharedPages::share_window(const std::byte* base, uint64_t bytes, uintptr_t window) {
  if (!possible()) return false;
  auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  auto first = reinterpret_cast<uintptr_t>(base);
  uintptr_t begin = std::max((first + page - 1) / page * page, window);
  uintptr_t end = std::min((first + bytes) / page * page, window + kWindowBytes);
  if (begin >= end) return false;
  auto* address = reinterpret_cast<std::byte*>(begin);

  std::lock_guard guard(mutex_);
  layout::SharedPages* entries = table();
  if (!entries) return false;
  layout::SharedPages* free = nullptr;
  for (uint32_t i = 0; i < layout::kMostShared; ++i) {
    layout::SharedPages& entry = entries[i];
    if (entry.bytes == 0) free = free ? free : &entry;
    bool overlaps = entry.address < end && entry.address + entry.bytes > begin;
    if (entry.bytes != 0 && overlaps) return true;
  }
  if (!free || !room_for(end - begin) || !platform::may_move(address, end - begin)) return false;
  uint64_t offset = segment_.allocate(end - begin, process_);
  if (offset == 0) return false;
  Closed closed(*this);
  if (!closed.done() || !platform::move_in(segment_.memory(), offset, address, end - begin)) {
    segment_.release(offset, end - begin);
    return false;
  }
  *free = {begin, end - begin, offset};
  bytes_ += end - begin;
  used_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool SharedPages::any_of(const std::byte* base, uint64_t bytes) {
  if (used_.load(std::memory_order_relaxed) == 0) return false;
  auto begin = reinterpret_cast<uintptr_t>(base);
  std::lock_guard guard(mutex_);
  const layout::SharedPages* entries = table();
  return entries && std::any_of(entries, entries + layout::kMostShared, [&](const auto& entry) {
           return entry.bytes != 0 && entry.address < begin + bytes &&
                  entry.address + entry.bytes > begin;
         });
}

void SharedPages::move_back(const std::byte* base, uint64_t bytes) {
  uintptr_t begin = reinterpret_cast<uintptr_t>(base), end = begin + bytes;
  std::lock_guard guard(mutex_);
  layout::SharedPages* entries = table();
  for (uint32_t i = 0; entries && i < layout::kMostShared; ++i) {
    layout::SharedPages entry = entries[i];
    if (entry.bytes == 0 || entry.address >= end || entry.address + entry.bytes <= begin) continue;
    Closed closed(*this);
    entries[i].bytes = 0;
    used_.fetch_sub(1, std::memory_order_relaxed);
    bool done = closed.done();
    if (!platform::move_out(segment_.memory(), entry.offset, entry.bytes) || !done) continue;
    segment_.release(entry.offset, entry.bytes);
    bytes_ -= entry.bytes;
  }
}

void SharedPages::before_fork() {
  mutex_.lock();
  if (bytes_ == 0) return;
  parts_ = platform::parts_of(segment_.memory());
  if (parts_.empty()) return;
  if (pipe(child_done_.data()) != 0) {
    child_done_ = {-1, -1};
    return;
  }
  for (int end : child_done_) fcntl(end, F_SETFD, FD_CLOEXEC);
}

// Whoever writes to what the child is to have waits here, until the child has it or is dead.
void SharedPages::after_fork_in_parent() {
  if (child_done_[1] >= 0) {
    close(child_done_[1]);
    char word;
    while (read(child_done_[0], &word, 1) < 0 && errno == EINTR) {
    }
    close(child_done_[0]);
    child_done_ = {-1, -1};
  }
  parts_.clear();
  mutex_.unlock();
}

void SharedPages::after_fork_in_child() {
  // What the segment says of them is the parent's, and so it stays.
  forbid();
  used_.store(0, std::memory_order_relaxed);
  for (const platform::Part& part : parts_) {
    platform::copy_out_in_child(segment_.memory(), part);
  }
  if (child_done_[1] >= 0) {
    // The end of the pipe would do, but a child of another thread may have it open as well.
    (void)!write(child_done_[1], "", 1);
    for (int end : child_done_) close(end);
  }
  mutex_.unlock();
}

}  // namespace railyard::sim
