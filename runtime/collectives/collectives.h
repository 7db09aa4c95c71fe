// The collectives of a group, over the links of an engine. There are two kinds: a mesh, where every
// rank has a link to every other one, and a ring, where it has links to its right and its left
// neighbour (the same one in a ring of two).
//
// All calls block until this rank's part is done and throw Error. Results are the same bits on
// every rank. Not thread-safe: the group serialises calls.
#pragma once

#include <memory>
#include <vector>

#include "transport/engine.h"

namespace railyard {

// The buffers of a call. `bytes` is what the caller gave: of the whole array for sums, maxima and
// broadcasts, of one rank's share for all others.
struct Call {
  OperationKind kind = OperationKind::none;
  const std::byte* input = nullptr;
  std::byte* output = nullptr;
  size_t bytes = 0;
  Dtype dtype = Dtype::UInt8;
  int root = -1;

  OperationTag tag() const;
};

class Collectives {
 public:
  virtual ~Collectives() = default;

  // all_sum, all_max, all_min; `output` may be `input`.
  virtual void all_reduce(const Call& call) = 0;
  // sum_scatter; `output` may be any of the chunks of `input`.
  virtual void sum_scatter(const Call& call) = 0;
  // all_gather, and barrier with no bytes; `input` may be this rank's place in `output`.
  virtual void all_gather(const Call& call) = 0;
  // `output` holds the data on the root, and takes them elsewhere.
  virtual void broadcast(const Call& call) = 0;
  // `output` may be `input`.
  virtual void all_to_all(const Call& call) = 0;
};

namespace mesh {
std::vector<int> peers(int rank, int size);
std::unique_ptr<Collectives> make(Engine& engine, int rank, int size);
}  // namespace mesh

namespace ring {
inline int right_of(int rank, int size) { return (rank + 1) % size; }
inline int left_of(int rank, int size) { return (rank + size - 1) % size; }
std::vector<int> peers(int rank, int size);
std::unique_ptr<Collectives> make(Engine& engine, int rank, int size);
}  // namespace ring

}  // namespace railyard
