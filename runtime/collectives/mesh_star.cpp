#include "collectives/mesh_star.h"

namespace railyard::mesh {

Star::Star(Engine& engine, int rank, int size, const Call& call)
    : Rows(engine, rank, size, call),
      small_(!engine.link(at_centre() ? kCentre + 1 : kCentre).cut().is_large(call.bytes)) {
  auto add = [&](Link& link, const std::byte* data, uint32_t ready) {
    outs_.add(link, call_.tag(), segments({outgoing(data, call_.bytes)}), ready);
    ins_.add(link, call_.tag(), segments({{nullptr, call_.bytes}}));
  };
  if (at_centre()) {
    for_each_peer([&](int, Link& link) { add(link, call_.output, 0); });
  } else {
    add(engine_.link(kCentre), call_.input, OutStream::kAll);
  }
}

bool Star::step() {
  pump();
  if (at_centre()) {
    combine_rows();
  } else {
    take_result();
  }
  return done();
}

void Star::combine_rows() {
  while (!ins_[0].done() && row_is_here()) {
    size_t offset = ins_[0].offset();
    combine_row(call_.output + offset, call_.input + offset, ins_[0].bytes());
    ++rows_;
    for (OutStream& out : outs_) {
      out.allow(rows_);
      out.pump();
    }
  }
}

// What this rank has sent lies in the slab: the result may take its place.
void Star::take_result() {
  while (const std::byte* result = ins_[0].front()) {
    copy(call_.output + ins_[0].offset(), result, ins_[0].bytes());
    ins_[0].pop();
  }
}

}  // namespace railyard::mesh
