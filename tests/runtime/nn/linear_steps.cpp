#include <fmt/format.h>

#include <cstring>

#include "draw.h"
#include "steps.h"

namespace railyard::test {
namespace {

using nn::Array;
using nn::Linear;
using nn::QuantizedArray;
using nn::QuantizedLinear;
using nn::Segments;
using nn::Sharding;

// A bound on how far two ways to compute a sum of products may be apart: each of `inner` additions
// rounds in float32, and results and the sums of `ranks` ranks round in their dtype.
double allowance(Dtype dtype, int64_t inner, int ranks) {
  return 4 * static_cast<double>(inner) * rounding(Dtype::Float32) +
         2 * (ranks + 2) * rounding(dtype);
}

// What the products' terms add up to without their signs, by the layer itself.
struct Magnitudes {
  Array output, input_gradient, weight_gradient;

  Magnitudes(const Array& weight, const Array& bias, const Array& x, const Array& dy) {
    const Linear layer(magnitude(weight), magnitude(bias));
    output = layer.forward(magnitude(x));
    nn::LinearGradients gradients = layer.backward(magnitude(x), magnitude(dy));
    input_gradient = gradients.input;
    weight_gradient = *gradients.weight;
  }
};

template <typename WholeLayer>
std::string check(Group& group, const LinearCase& which, const WholeLayer& whole,
                  const Array& effective_weight, Numbers numbers) {
  const Segments segments = Segments::equal(which.segments);
  const bool cuts_output = which.sharding == Sharding::all_to_sharded;
  const auto mine = [&](const Array& array, int axis) {
    return nn::shard(array, axis, segments, group);
  };
  const Array x = draw({which.rows, which.in}, which.dtype, 1, numbers);
  const Array dy = draw({which.rows, which.out}, which.dtype, 2, numbers);
  const auto layer = nn::shard_linear(whole, which.sharding, group, segments);
  const Array my_x = cuts_output ? x : mine(x, -1), my_dy = cuts_output ? mine(dy, -1) : dy;

  const Array y = layer->forward(my_x);
  const nn::LinearGradients gradients = layer->backward(my_x, my_dy);
  const Array whole_y = whole.forward(x);
  const nn::LinearGradients whole_gradients = whole.backward(x, dy);

  const auto check_one = [&](const char* what, const Array& got, const Array& wanted,
                             const Array& terms, int64_t inner) {
    if (numbers == Numbers::whole && which.bits == 0) return compare(what, got, wanted);
    compare(what, got, wanted, terms, allowance(which.dtype, inner, group.size()));
  };
  const Magnitudes terms(effective_weight, *whole.bias(), x, dy);
  const auto part = [&](const Array& array, bool cut, int axis) {
    return cut ? mine(array, axis) : array;
  };
  check_one("output", y, part(whole_y, cuts_output, -1), part(terms.output, cuts_output, -1),
            which.in);
  check_one("input's gradient", gradients.input, part(whole_gradients.input, !cuts_output, -1),
            part(terms.input_gradient, !cuts_output, -1), which.out);
  if (gradients.weight) {
    const int axis = cuts_output ? 0 : 1;
    check_one("weight's gradient", *gradients.weight, mine(*whole_gradients.weight, axis),
              mine(terms.weight_gradient, axis), which.rows);
  }
  compare("bias's gradient", *gradients.bias, part(*whole_gradients.bias, cuts_output, 0));
  return digest(cuts_output ? gradients.input : y);
}

}  // namespace

std::string digest(const Array& array) {
  uint64_t hash = 1469598103934665603u;
  for (size_t i = 0; i < array.bytes(); ++i) {
    hash = (hash ^ static_cast<uint64_t>(array.data()[i])) * 1099511628211u;
  }
  return fmt::format("{:016x}", hash);
}

std::string check_linear(Group& group, const LinearCase& which) {
  std::string result;
  for (Numbers numbers : {Numbers::whole, Numbers::full}) {
    const Array weight = draw({which.out, which.in}, which.dtype, 3, numbers);
    const Array bias = draw({which.out}, which.dtype, 4, numbers);
    if (which.bits == 0) {
      result += check(group, which, Linear(weight, bias), weight, numbers);
    } else {
      const auto quantized = QuantizedArray::quantize(weight, {32, which.bits});
      result +=
          check(group, which, QuantizedLinear(quantized, bias), quantized.dequantized(), numbers);
    }
  }
  return result;
}

std::string check_block(Group& group, Dtype dtype, int64_t rows, int64_t width, int64_t hidden,
                        int bits) {
  const Array x = draw({rows, width}, dtype, 5, Numbers::full);
  const Array up = draw({hidden, width}, dtype, 6, Numbers::full);
  const Array down = draw({width, hidden}, dtype, 7, Numbers::full);
  const auto run = [&](const auto& whole_up, const auto& whole_down) {
    const auto first = nn::shard_linear(whole_up, Sharding::all_to_sharded, group);
    const auto second = nn::shard_linear(whole_down, Sharding::sharded_to_all, group);
    const Array y = second->forward(first->forward(x));
    const Array wanted = whole_down.forward(whole_up.forward(x));
    const Array terms =
        Linear(magnitude(down)).forward(Linear(magnitude(up)).forward(magnitude(x)));
    // Quantised weights may be larger than what they stand for, by a step.
    compare("block", y, wanted, terms,
            (bits == 0 ? 1 : 2) * allowance(dtype, width + hidden, group.size()));
    return digest(y);
  };
  if (bits == 0) return run(Linear(up), Linear(down));
  return run(QuantizedLinear(QuantizedArray::quantize(up, {32, bits})),
             QuantizedLinear(QuantizedArray::quantize(down, {32, bits})));
}

}  // namespace railyard::test
