#include "railyard/nn/experts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <utility>

#include "nn/tensor/check.h"
#include "nn/tensor/sum.h"

namespace railyard::nn {
namespace {

using Rows = std::vector<float>;

std::vector<Choice> choose(std::span<const float> logits, int top_k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](int expert) { return logits[static_cast<size_t>(expert)]; };
  std::partial_sort(order.begin(), order.begin() + top_k, order.end(), [&](int a, int b) {
    return value(a) > value(b) || (value(a) == value(b) && a < b);
  });
  std::vector<Choice> choices;
  float total = 0;
  for (int i = 0; i < top_k; ++i) {
    const int expert = order[static_cast<size_t>(i)];
    choices.push_back({expert, std::exp(value(expert) - value(order[0]))});
    total += choices.back().weight;
  }
  for (Choice& choice : choices) choice.weight /= total;
  return choices;
}

// The tokens that one expert sees, and with which weight.
struct Audience {
  std::vector<size_t> tokens;
  std::vector<float> weights;
};

void check(const Routing& routing, int experts) {
  for (size_t token = 0; token < routing.size(); ++token) {
    for (const Choice& choice : routing[token]) {
      if (choice.expert >= 0 && choice.expert < experts) continue;
      fail("ExpertParallel",
           fmt::format("token {} is routed to expert {} of {}", token, choice.expert, experts));
    }
  }
}

// Of routing within `range`.
std::vector<Audience> audiences_of(const Routing& routing, const ExpertRange& range) {
  std::vector<Audience> audiences(static_cast<size_t>(range.count()));
  for (size_t token = 0; token < routing.size(); ++token) {
    for (const Choice& choice : routing[token]) {
      Audience& audience = audiences[static_cast<size_t>(choice.expert - range.begin)];
      audience.tokens.push_back(token);
      audience.weights.push_back(choice.weight);
    }
  }
  return audiences;
}

Array rows_at(const Array& x, const std::vector<size_t>& rows) {
  const int64_t width = x.extent(1);
  Array result({static_cast<int64_t>(rows.size()), width}, x.dtype());
  const size_t row_bytes = static_cast<size_t>(width) * size_of(x.dtype());
  for (size_t i = 0; i < rows.size() && row_bytes > 0; ++i) {
    std::memcpy(result.data() + i * row_bytes, x.data() + rows[i] * row_bytes, row_bytes);
  }
  return result;
}

void add_rows(const Array& spoken, const Audience& audience, Rows& output) {
  const Rows values = spoken.values();
  const auto width = static_cast<size_t>(spoken.extent(1));
  for (size_t i = 0; i < audience.tokens.size(); ++i) {
    float* to = output.data() + audience.tokens[i] * width;
    for (size_t j = 0; j < width; ++j) to[j] += audience.weights[i] * values[i * width + j];
  }
}

}  // namespace

ExpertRange expert_range(int experts, int rank, int ranks) {
  if (experts < 0 || ranks < 1 || rank < 0 || rank >= ranks) {
    fail("expert_range", fmt::format("{} experts, rank {} of {}", experts, rank, ranks));
  }
  const auto bound = [&](int64_t index) { return static_cast<int>(experts * index / ranks); };
  return {bound(rank), bound(int64_t{rank} + 1)};
}

Routing route(const Array& logits, int top_k) {
  const int64_t experts = logits.extent(-1);
  if (top_k < 1 || top_k > experts) {
    fail("route", fmt::format("the top {} of {} experts", top_k, experts));
  }
  const std::vector<float> values = logits.values();
  Routing routing;
  for (std::span<const float> rest = values; !rest.empty();) {
    const auto one = rest.first(static_cast<size_t>(experts));
    if (!std::all_of(one.begin(), one.end(), [](float logit) { return std::isfinite(logit); })) {
      fail("route", fmt::format("a logit of token {} is infinite or not a number", routing.size()));
    }
    routing.push_back(choose(one, top_k));
    rest = rest.subspan(one.size());
  }
  return routing;
}

Routing within(const Routing& routing, const ExpertRange& range) {
  Routing result = routing;
  for (std::vector<Choice>& choices : result) {
    std::erase_if(choices, [&](const Choice& choice) { return !range.contains(choice.expert); });
  }
  return result;
}

FeedForward::FeedForward(std::unique_ptr<Layer> gate, std::unique_ptr<Layer> up,
                         std::unique_ptr<Layer> down)
    : gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)) {}

Array FeedForward::forward(const Array& x) const {
  const Array gate = gate_->forward(x);
  const Rows gates = gate.values();
  Rows hidden = up_->forward(x).values();
  if (hidden.size() != gates.size()) {
    fail("FeedForward",
         fmt::format("gate and up give {} and {} numbers", gates.size(), hidden.size()));
  }
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] *= gates[i] / (1 + std::exp(-gates[i]));
  return down_->forward(Array(gate.shape(), x.dtype(), hidden));
}

ExpertParallel::ExpertParallel(std::vector<std::unique_ptr<Layer>> local, int experts, Group& group,
                               std::optional<Dtype> wire)
    : local_(std::move(local)),
      range_(expert_range(experts, group.rank(), group.size())),
      experts_(experts),
      group_(&group),
      wire_(wire) {
  if (static_cast<int>(local_.size()) != range_.count()) {
    fail("ExpertParallel",
         fmt::format("rank {} of {} has experts [{}, {}) of {}, but {} were given", group.rank(),
                     group.size(), range_.begin, range_.end, experts, local_.size()));
  }
}

Array ExpertParallel::partial(const Array& x, const Routing& routing) const {
  if (x.dimensions() != 2 || x.extent(0) != static_cast<int64_t>(routing.size())) {
    fail("ExpertParallel", fmt::format("an input of shape {} with the routing of {} tokens",
                                       text_of(x.shape()), routing.size()));
  }
  check(routing, experts_);
  const std::vector<Audience> audiences = audiences_of(within(routing, range_), range_);
  Rows output(static_cast<size_t>(x.count()));
  for (size_t i = 0; i < local_.size(); ++i) {
    if (audiences[i].tokens.empty()) continue;
    const Array spoken = local_[i]->forward(rows_at(x, audiences[i].tokens));
    if (spoken.extent(-1) != x.extent(-1)) {
      fail("ExpertParallel",
           fmt::format("expert {} turns {} features into {}", range_.begin + static_cast<int>(i),
                       x.extent(-1), spoken.extent(-1)));
    }
    add_rows(spoken, audiences[i], output);
  }
  return {x.shape(), Dtype::Float32, output};
}

Array ExpertParallel::forward(const Array& x, const Routing& routing) const {
  return sum_over_ranks(partial(x, routing), *group_, wire_.value_or(x.dtype())).as(x.dtype());
}

}  // namespace railyard::nn
