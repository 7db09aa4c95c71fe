// Layers on one rank against products written out.
#include "railyard/nn/linear.h"

#include <cmath>
#include <random>

#include "expect_refusal.h"
#include "same_group.h"

namespace railyard::nn {
namespace {

using test::refusal;
using test::SameGroup;
using testing::HasSubstr;

Array whole_numbers(Shape shape, unsigned seed, Dtype dtype = Dtype::Float32) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<size_t>(Array(shape, dtype).count()));
  for (float& value : values) value = static_cast<float>(random() % 7) - 3;
  return {std::move(shape), dtype, values};
}

// sum over j of a[i, j] b[k, j], in integers
std::vector<float> naive(const std::vector<float>& a, const std::vector<float>& b, size_t inner) {
  std::vector<float> result;
  for (size_t i = 0; i < a.size() / inner; ++i) {
    for (size_t k = 0; k < b.size() / inner; ++k) {
      int64_t sum = 0;
      for (size_t j = 0; j < inner; ++j) {
        sum += static_cast<int64_t>(a[i * inner + j]) * static_cast<int64_t>(b[k * inner + j]);
      }
      result.push_back(static_cast<float>(sum));
    }
  }
  return result;
}

std::vector<float> transposed(const std::vector<float>& a, size_t columns) {
  std::vector<float> result;
  for (size_t j = 0; j < columns; ++j) {
    for (size_t i = 0; i < a.size() / columns; ++i) result.push_back(a[i * columns + j]);
  }
  return result;
}

TEST(Linear, MultipliesAndAdds) {
  for (Dtype dtype : {Dtype::Float32, Dtype::Float16, Dtype::BFloat16}) {
    for (int64_t rows : {0, 1, 5}) {
      // Wide enough for several blocks of rows of 16-bit weights.
      const Array x = whole_numbers({rows, 3, 700}, 1);
      const Array weight = whole_numbers({999, 700}, 2, dtype),
                  bias = whole_numbers({999}, 3, dtype);
      const Array y = Linear(weight, bias).forward(x);
      std::vector<float> wanted = naive(x.values(), weight.values(), 700);
      for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += bias.values()[i % 999];
      EXPECT_EQ(y.shape(), (Shape{rows, 3, 999}));
      EXPECT_EQ(y.values(), wanted) << name(dtype) << " " << rows;
    }
  }
}

TEST(Linear, RoundsOnceToTheInputsDtype) {
  const Array x = whole_numbers({1, 64}, 4, Dtype::BFloat16), weight = whole_numbers({64, 64}, 5);
  const Array y = Linear(weight).forward(x);
  EXPECT_EQ(y, Array({1, 64}, Dtype::BFloat16, naive(x.values(), weight.values(), 64)));
}

TEST(Linear, HasGradients) {
  const Array x = whole_numbers({4, 6}, 1), weight = whole_numbers({5, 6}, 2);
  const Array dy = whole_numbers({4, 5}, 3);
  const LinearGradients got = Linear(weight, Array({5}, Dtype::Float32)).backward(x, dy);
  EXPECT_EQ(got.input.values(), naive(dy.values(), transposed(weight.values(), 6), 5));
  EXPECT_EQ(got.weight->values(), naive(transposed(dy.values(), 5), transposed(x.values(), 6), 4));
  EXPECT_EQ(got.bias->values(), naive(std::vector<float>(4, 1.0f), transposed(dy.values(), 5), 4));
  EXPECT_FALSE(Linear(weight).backward(x, dy).bias);
}

TEST(QuantizedLinear, ComputesAsTheWeightItStandsFor) {
  const Array x = whole_numbers({2, 128}, 1), weight = whole_numbers({3000, 128}, 2);
  const auto quantized = QuantizedArray::quantize(weight, {32, 4});
  const Linear plain(quantized.dequantized());
  const QuantizedLinear layer(quantized);
  const Array dy = whole_numbers({2, 3000}, 3);
  // Blocks of rows are summed in another order than one large matrix.
  const auto near = [](const Array& a, const Array& b) {
    const auto left = a.values(), right = b.values();
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) ASSERT_NEAR(left[i], right[i], 0.01) << i;
  };
  near(layer.forward(x), plain.forward(x));
  near(layer.backward(x, dy).input, plain.backward(x, dy).input);
  EXPECT_FALSE(layer.backward(x, dy).weight);
}

TEST(Linear, SaysWhatDoesNotFit) {
  const Linear linear(Array({3, 4}, Dtype::Float32));
  EXPECT_THAT(refusal([&] {
                linear.forward(Array({2, 5}, Dtype::Float32));
              }),
              HasSubstr("input of shape [2, 5]; its last axis must be 4"));
  EXPECT_THAT(refusal([&] { linear.forward(Array(Shape{}, Dtype::Float32)); }),
              HasSubstr("input of shape []"));
  EXPECT_THAT(refusal([&] {
                linear.backward(Array({2, 4}, Dtype::Float32), Array({3, 3}, Dtype::Float32));
              }),
              HasSubstr("[2, 4] and an output gradient of shape [3, 3]"));
  EXPECT_THAT(refusal([] { Linear(Array({3}, Dtype::Float32)); }), HasSubstr("matrix is needed"));
  EXPECT_THAT(refusal([] {
                Linear(Array({3, 4}, Dtype::Float32), Array({4}, Dtype::Float32));
              }),
              HasSubstr("bias of shape [4]; the weight needs [3]"));
}

TEST(CollectivePair, SumsInOneDirectionOnly) {
  SameGroup group(0, 3);
  const Array x({2}, Dtype::Float16, std::vector<float>{1, -2});
  const Array tripled({2}, Dtype::Float16, std::vector<float>{3, -6});
  EXPECT_EQ(SumGradients(group).forward(x), x);
  EXPECT_EQ(SumActivations(group).backward(x), x);
  EXPECT_TRUE(group.sums.empty());
  EXPECT_EQ(SumGradients(group).backward(x), tripled);
  EXPECT_EQ(SumActivations(group).forward(x), tripled);
  EXPECT_EQ(group.sums, (std::vector<SameGroup::Sum>(2, {4, Dtype::Float16})));
}

TEST(ShardedToAll, AddsTheBiasOnce) {
  SameGroup group(0, 2);
  const Array bias({1}, Dtype::Float32, std::vector<float>{10});
  const ShardedToAllLinear layer(Linear(whole_numbers({1, 4}, 1), bias), group);
  EXPECT_EQ(layer.forward(Array({1, 4}, Dtype::Float32)).values(), std::vector<float>{10});
}

}  // namespace
}  // namespace railyard::nn
