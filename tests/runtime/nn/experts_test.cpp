#include "railyard/nn/experts.h"

#include <cmath>

#include "expect_refusal.h"
#include "same_group.h"

namespace railyard::nn {
namespace {

using test::refusal;
using test::SameGroup;
using testing::ElementsAre;
using testing::HasSubstr;

Array row(std::vector<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {Shape{1, count}, Dtype::Float32, values};
}

std::unique_ptr<Layer> scale_by(float factor) {
  return std::make_unique<Linear>(
      Array({2, 2}, Dtype::Float32, std::vector<float>{factor, 0, 0, factor}));
}

TEST(ExpertRange, PutsEveryExpertOnOneRank) {
  for (int experts : {1, 3, 61, 256, 384}) {
    for (int ranks : {1, 2, 3, 4, 7}) {
      int next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const ExpertRange range = expert_range(experts, rank, ranks);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.count(), experts / ranks);
        EXPECT_LE(range.count(), (experts + ranks - 1) / ranks);
        next = range.end;
      }
      EXPECT_EQ(next, experts);
    }
  }
  EXPECT_THAT(refusal([] { expert_range(4, 2, 2); }), HasSubstr("rank 2 of 2"));
}

TEST(Route, TakesTheLargestAndTheLowerOfEquals) {
  const Routing routing = route(row({1, 3, 3, 2}), 3);
  ASSERT_EQ(routing.size(), 1u);
  std::vector<int> experts;
  float total = 0;
  for (const Choice& choice : routing[0]) {
    experts.push_back(choice.expert);
    total += choice.weight;
  }
  EXPECT_THAT(experts, ElementsAre(1, 2, 3));
  EXPECT_NEAR(total, 1, 1e-6);
  EXPECT_EQ(routing[0][0].weight, routing[0][1].weight);
  EXPECT_NEAR(routing[0][2].weight / routing[0][0].weight, std::exp(-1.0), 1e-6);
}

TEST(Route, RefusesWhatCannotBeChosen) {
  EXPECT_THAT(refusal([] { route(row({1, 2}), 3); }), HasSubstr("top 3 of 2 experts"));
  EXPECT_THAT(refusal([] { route(row({1, 2}), 0); }), HasSubstr("top 0"));
  EXPECT_THAT(refusal([] { route(row({1, NAN}), 1); }), HasSubstr("token 0"));
}

TEST(Within, MasksTheExpertsOfOtherRanks) {
  const Routing routing = {{{0, 0.5f}, {3, 0.5f}}, {{1, 1.0f}}};
  const Routing mine = within(routing, {2, 4});
  ASSERT_EQ(mine.size(), 2u);
  ASSERT_EQ(mine[0].size(), 1u);
  EXPECT_EQ(mine[0][0].expert, 3);
  EXPECT_TRUE(mine[1].empty());
}

TEST(ExpertParallel, AddsWhatItsExpertsSayAndNothingElse) {
  SameGroup group(1, 2);  // experts 2 and 3 of 4
  std::vector<std::unique_ptr<Layer>> local;
  local.push_back(scale_by(2));
  local.push_back(scale_by(3));
  const ExpertParallel experts(std::move(local), 4, group, Dtype::Float16);
  const Array x({3, 2}, Dtype::Float32, std::vector<float>{1, 2, 10, 20, 100, 200});
  const Routing routing = {{{2, 0.5f}, {3, 0.5f}}, {{0, 1.0f}}, {{1, 0.75f}, {3, 0.25f}}};
  EXPECT_THAT(experts.partial(x, routing).values(), ElementsAre(2.5, 5, 0, 0, 75, 150));
  EXPECT_THAT(experts.forward(x, routing).values(), ElementsAre(5, 10, 0, 0, 150, 300));
  EXPECT_EQ(group.sums, (std::vector<SameGroup::Sum>{{12, Dtype::Float16}}));
}

TEST(ExpertParallel, SendsTheTrafficOfADecodeStep) {
  SameGroup group(0, 2);
  for (auto [wire, bytes] :
       {std::pair(Dtype::Float32, size_t{28} << 10), std::pair(Dtype::Float16, size_t{14} << 10)}) {
    std::vector<std::unique_ptr<Layer>> local;
    local.push_back(std::make_unique<Linear>(Array({7168, 7168}, Dtype::BFloat16)));
    const ExpertParallel experts(std::move(local), 2, group, wire);
    experts.forward(Array({1, 7168}, Dtype::Float32), {{{1, 1.0f}}});
    EXPECT_EQ(group.sums.back(), (SameGroup::Sum{bytes, wire}));
  }
}

TEST(FeedForward, IsTheGatedUnit) {
  const FeedForward expert(scale_by(1), scale_by(2), scale_by(1));
  const auto y = expert.forward(row({1, -2})).values();
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  EXPECT_NEAR(y[0], silu(1) * 2, 1e-6);
  EXPECT_NEAR(y[1], silu(-2) * -4, 1e-6);
}

TEST(ExpertParallel, SaysWhatDoesNotFit) {
  SameGroup group(0, 2);
  EXPECT_THAT(refusal([&] { ExpertParallel({}, 4, group); }),
              HasSubstr("rank 0 of 2 has experts [0, 2) of 4, but 0 were given"));
  const ExpertParallel none({}, 1, group);  // one expert, on rank 1
  EXPECT_THAT(refusal([&] { none.forward(row({1, 2}), {}); }), HasSubstr("routing of 0 tokens"));
  EXPECT_THAT(refusal([&] {
                none.forward(row({1, 2}), {{{1, 1.0f}}});
              }),
              HasSubstr("token 0 is routed to expert 1 of 1"));
  EXPECT_TRUE(group.sums.empty());
}

}  // namespace
}  // namespace railyard::nn
