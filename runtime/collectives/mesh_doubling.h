// Small reductions of a mesh whose size is a power of two, by recursive doubling: in round k a rank
// exchanges what it has with the one whose number differs in bit k, and both combine the two in the
// order of ranks. So all ranks form the same tree and have the same bits.
#pragma once

#include <bit>
#include <optional>

#include "collectives/collectives.h"
#include "transport/stream.h"

namespace railyard::mesh {

class Doubling {
 public:
  static bool fits(int size) { return std::has_single_bit(static_cast<unsigned>(size)); }

  // The array goes as small messages.
  Doubling(Engine& engine, int rank, int size, const Call& call);

  const char* name() const { return railyard::name(call_.kind); }
  const Rail* waits_for() const { return &in_->rail(); }
  const Rail* only_rail() const { return waits_for(); }
  bool step();

 private:
  void start_round();
  void combine_with(const std::byte* theirs);
  int partner() const { return rank_ ^ distance_; }

  Engine& engine_;
  const int rank_, size_;
  const Call call_;
  const OperationTag tag_;
  int distance_ = 1;
  std::optional<OutStream> out_;
  std::optional<InStream> in_;
};

}  // namespace railyard::mesh
