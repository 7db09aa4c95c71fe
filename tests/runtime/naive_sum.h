// Sums as a reader would write them, element by element and without a trick, to check the fast
// ones.
#pragma once

#include <cstddef>
#include <vector>

#include "railyard/dtype.h"

namespace railyard::test {

// What a rank puts in: small numbers, so that every order of addition gives the same sum exactly.
// `offset`: of a longer input, the bytes from there on; whole elements, as `bytes`.
std::vector<std::byte> data_of_rank(int rank, unsigned seed, size_t bytes, Dtype dtype,
                                    size_t offset = 0);

// The element-wise sum of data_of_rank over the ranks.
std::vector<std::byte> sum_of_ranks(int ranks, unsigned seed, size_t bytes, Dtype dtype,
                                    size_t offset = 0);

// One element as a number, and back (rounded to nearest, ties to even). Complex: one half.
double to_double(const std::byte* element, Dtype dtype);
void from_double(double value, std::byte* element, Dtype dtype);

// Bytes that to_double reads: the element, or half a complex one.
size_t scalar_bytes(Dtype dtype);

}  // namespace railyard::test
