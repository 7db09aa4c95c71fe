// What the collectives of a ring have in common: one stream to the next rank on a way and one from
// the rank before.
//
// What goes out are first pieces of this rank's own and then pieces that have come in, as they are
// or combined with its own. A message may leave when the one it is made from has arrived, so all
// steps of an algorithm flow through one pipeline without a pause between them.
#pragma once

#include "collectives/ring_way.h"
#include "transport/stream.h"

namespace railyard::ring {

class Flow {
 public:
  // `ready`: how many of the outgoing segments can go at once.
  Flow(const Way& way, const Call& call, const Segments& outgoing, size_t ready,
       const Segments& incoming)
      : call_(call),
        replaces_(ready > 0),
        allowed_(messages(way.next().cut(), outgoing, ready)),
        out_(way.next(), call.tag(), outgoing, allowed_),
        in_(way.previous(), call.tag(), incoming) {}

  const char* name() const { return railyard::name(call_.kind); }
  const Rail* waits_for() {
    if (!in_.done() && !in_.front()) return &in_.rail();
    return out_.done() ? nullptr : &out_.rail();
  }

 protected:
  // Hands each message that has come to `take(data)`, which returns whether one made from it goes
  // out in turn.
  //
  // Where own pieces go out first, no message is taken before this rank has sent as many: then the
  // data that it replaces have left. (The rank that has sent the fewest always can: its right
  // neighbour has sent at least as many, and so has taken all that it got.)
  template <typename Take>
  bool advance(Take take) {
    in_.pump();
    out_.pump();
    while (const std::byte* data = in_.front()) {
      if (replaces_ && !out_.done() && out_.left() <= in_.taken()) break;
      bool goes_on = take(data);
      in_.pop();
      if (goes_on) out_.allow(++allowed_);
      out_.pump();
    }
    return in_.done() && out_.done();
  }

  const Call call_;
  const bool replaces_;
  uint32_t allowed_;
  OutStream out_;
  InStream in_;

 private:
  static uint32_t messages(const Cut& cut, const Segments& segments, size_t ready) {
    uint32_t count = 0;
    for (size_t i = 0; i < ready; ++i) count += cut.count(segments[i].bytes);
    return count;
  }
};

}  // namespace railyard::ring
