// A mixture of experts whose experts live on different ranks.
//
// A router gives every token its `top_k` experts. Each rank has a range of the experts, computes
// what those of its range say of the tokens routed to them, and one sum over the ranks makes the
// layer's output of it, the same bits on every rank.
//
// Errors: see railyard/nn/array.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/array.h"
#include "railyard/nn/linear.h"

namespace railyard::nn {

// Experts [begin, end).
struct ExpertRange {
  int begin = 0, end = 0;
  int count() const { return end - begin; }
  bool contains(int expert) const { return expert >= begin && expert < end; }
};

// [experts * rank / ranks, experts * (rank + 1) / ranks): every expert is on exactly one rank, and
// the counts of two ranks differ by at most one. With fewer experts than ranks some have none.
ExpertRange expert_range(int experts, int rank, int ranks);

// Which experts see a token, and what each one's word counts.
struct Choice {
  int expert = 0;
  float weight = 0;
};
using Routing = std::vector<std::vector<Choice>>;  // one entry per token

// The `top_k` largest of each token's logits [..., experts], the largest first, the lower expert
// first among equals; weights are the softmax over those chosen.
Routing route(const Array& logits, int top_k);

// The mask of a range: the same tokens with only the choices that lie in it.
Routing within(const Routing& routing, const ExpertRange& range);

// One expert of the usual kind: down(silu(gate(x)) * up(x)). Immutable.
class FeedForward final : public Layer {
 public:
  FeedForward(std::unique_ptr<Layer> gate, std::unique_ptr<Layer> up, std::unique_ptr<Layer> down);
  Array forward(const Array& x) const override;

 private:
  std::unique_ptr<Layer> gate_, up_, down_;
};

// The experts of one layer. Immutable; forward() may be called from several threads as far as the
// group's calls may.
class ExpertParallel {
 public:
  // `local` are the experts of expert_range(experts, group.rank(), group.size()), in order. Partial
  // outputs are sent and added in `wire` (Float16 halves the traffic), or in the dtype of x. The
  // group must outlive this.
  ExpertParallel(std::vector<std::unique_ptr<Layer>> local, int experts, Group& group,
                 std::optional<Dtype> wire = {});

  // x [tokens, features] and its routing, the same on every rank; the result has the shape and
  // dtype of x. Blocks as Group::all_sum does and throws what it throws.
  Array forward(const Array& x, const Routing& routing) const;

  // What this rank's experts say, in float32: zeros for tokens that none of them sees. Exchanges
  // nothing; forward() is its sum over the ranks.
  Array partial(const Array& x, const Routing& routing) const;

  const ExpertRange& range() const { return range_; }

 private:
  std::vector<std::unique_ptr<Layer>> local_;
  ExpertRange range_;
  int experts_;
  Group* group_;
  std::optional<Dtype> wire_;
};

}  // namespace railyard::nn
