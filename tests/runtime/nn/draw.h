// Arrays that every rank draws alike, and comparisons of what was computed from them in two ways.
#pragma once

#include <string>

#include "railyard/nn/array.h"

namespace railyard::test {

enum class Numbers {
  whole,  // -1, 0 and 1: sums of up to 256 of them are exact in every dtype and every order
  full,   // in [-1, 1), the whole significand used
};

nn::Array draw(const nn::Shape& shape, Dtype dtype, unsigned seed, Numbers numbers);

// The absolute values.
nn::Array magnitude(const nn::Array& array);

// The unit in which a dtype rounds numbers near 1: 2^-24 for float32.
double rounding(Dtype dtype);

// Throws WrongData unless both have one shape and dtype and every element is the same, or, with
// `allowed`, as near as that array says times `units`.
void compare(const std::string& what, const nn::Array& got, const nn::Array& wanted);
void compare(const std::string& what, const nn::Array& got, const nn::Array& wanted,
             const nn::Array& allowed, double units);

}  // namespace railyard::test
