// Copies between this process's memory and that of a queue pair's peer, where the system lets it.
// They are plain ones where the peer has laid its pages into the segment, and system calls else.
//
// Whoever copies says so first (class Reaching), then looks whether it may. An owner
// that moves or takes back what others reach says so and then waits while anybody who may not have
// seen it is reaching. So does whoever gives back what a dead process had.
#pragma once

#include "device/payload.h"
#include "fabric/segment.h"

namespace railyard::sim {

namespace layout = fabric::layout;

// While it exists this process reaches into the memory of that one, and a word of the queue pair's
// says so: `reaching` where it carries out an operation in its target's place, `copying` where it
// brings a message's payload. No more than one at a time for a word: its context's lock is held.
class Reaching {
 public:
  Reaching(layout::Shared<uint64_t>& word, const layout::Process& there);
  ~Reaching();
  Reaching(const Reaching&) = delete;
  Reaching& operator=(const Reaching&) = delete;

  // False while the other process moves its pages, which takes a millisecond.
  bool allowed() const { return allowed_; }

 private:
  layout::Shared<uint64_t>& word_;
  bool allowed_;
};

// Where in this process's mapping of the segment those pieces of that process's memory are. False:
// not all of them are there. For as long as the caller is reaching.
bool find_shared(const fabric::Segment& segment, const layout::Process& process,
                 const Pieces& there, Pieces& out);

}  // namespace railyard::sim
