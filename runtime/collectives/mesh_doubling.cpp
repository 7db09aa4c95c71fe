#include "collectives/mesh_doubling.h"

#include "collectives/parts.h"

namespace railyard::mesh {

Doubling::Doubling(Engine& engine, int rank, int size, const Call& call)
    : engine_(engine), rank_(rank), size_(size), call_(call), tag_(call.tag()) {
  copy(call_.output, call_.input, call_.bytes);
  start_round();
}

void Doubling::start_round() {
  Link& link = engine_.link(partner());
  Arena& arena = engine_.arena();
  out_.emplace(link, tag_, segments_of(arena, {outgoing(call_.output, call_.bytes)}));
  in_.emplace(link, tag_, segments_of(arena, {{nullptr, call_.bytes}}));
}

bool Doubling::step() {
  for (;;) {
    in_->pump();
    out_->pump();
    // Both sides cut the array alike: each message that comes replaces one that has to leave first.
    while (out_->left() > in_->taken()) {
      const std::byte* theirs = in_->front();
      if (!theirs) break;
      combine_with(theirs);
      in_->pop();
    }
    if (!in_->done()) return false;
    distance_ *= 2;
    if (distance_ == size_) return true;
    start_round();
  }
}

void Doubling::combine_with(const std::byte* theirs) {
  std::byte* ours = call_.output + in_->offset();
  bool they_are_first = partner() < rank_;
  combine(call_, ours, they_are_first ? theirs : ours, they_are_first ? ours : theirs,
          in_->bytes());
}

}  // namespace railyard::mesh
