// Pages of a program's registered memory that lie in the fabric's segment, at the program's own
// addresses. Every process maps the segment, so peers copy from and to such pages as from their own
// memory: no system call, which has to look up and pin each page (see peer_memory.h). Only what is
// used again and again moves there, and what is deregistered moves back.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "fabric/segment.h"
#include "platform/moved_pages.h"

namespace railyard::sim {

namespace layout = fabric::layout;

// Any thread may call anything. Its lock is taken after a context's.
class SharedPages {
 public:
  // What moves at once: no more than what is this long and aligned so. It stops those who write
  // there for a millisecond.
  static constexpr uint64_t kWindowBytes = uint64_t{4} << 20;
  // What a region has no more of in the window beside moves with it: an operation that crosses is
  // copied plainly as a whole or not at all, and so little takes long to be copied often enough.
  static constexpr uint64_t kLittle = uint64_t{1} << 20;
  // Copies of all that lies in a window before it moves. There and back takes as long as some ten
  // gain, and one operation of a group, after which its memory may be deregistered, copies what
  // each rank has for all others once to every peer.
  static constexpr int64_t kWorthIt = 16;
  // A process has no more of them: shared memory is no more than half of all, and there are others.
  static constexpr uint64_t kMostBytes = uint64_t{256} << 20;

  // RAILYARD_SHARED_PAGES: what moves.
  enum class Choice { never, when_hot, always };
  static Choice choice();

  explicit SharedPages(const fabric::Segment& segment) : segment_(segment) {}

  // After the process has joined.
  void open(uint32_t process) { process_ = process; }
  // Whether anything can move at all.
  bool possible() const { return choice() != Choice::never && !forbidden_ && system_can(); }
  // This process has queue pairs whose peers do not look whether pages are just moving.
  void forbid() { forbidden_ = true; }

  // Moves the whole pages of [base, base + bytes), which are registered and stay so meanwhile, that
  // lie in the window around `hot`, and the little that may lie beside it. False: there are none in
  // that window, or they cannot.
  bool share(const std::byte* base, uint64_t bytes, uintptr_t hot);
  // Whether any page there is shared.
  bool any_of(const std::byte* base, uint64_t bytes);
  // Moves pages back of which any lie there: they are not registered any more. Where that is
  // impossible just now they stay until the process ends, though no peer finds them any more.
  void take_back(const std::byte* base, uint64_t bytes) {
    if (used_.load(std::memory_order_relaxed) != 0) move_back(base, bytes);
  }

  // Around fork(), in its thread: the child gets pages of its own while the parent waits.
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();

 private:
  class Closed;

  static bool system_can();
  bool share_window(const std::byte* base, uint64_t bytes, uintptr_t window);
  void move_back(const std::byte* base, uint64_t bytes);
  layout::Process& record() const { return segment_.process(process_); }
  layout::SharedPages* table();
  bool room_for(uint64_t bytes) const;

  const fabric::Segment& segment_;
  uint32_t process_ = 0;
  std::atomic<bool> forbidden_{false};
  std::mutex mutex_;                   // guards the table and all below
  std::atomic<uint32_t> used_{0};      // entries of the table
  uint64_t bytes_ = 0;                 // in the segment, also what could not move back
  std::vector<platform::Part> parts_;  // for the child
  std::array<int, 2> child_done_{-1, -1};
};

}  // namespace railyard::sim
