// Inputs that every rank can compute for all of them, and the sum they must give.
//
// A value depends on (seed, rank, operation, iteration, index) and on nothing else. Exact inputs
// are whole numbers so small that every partial sum is represented exactly in the element type: the
// result is then the same in any order of summation, bit for bit. Rounded inputs use the whole
// significand; their sum is compared within the error that summing in any order may have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "railyard-rank/element.h"
#include "worker/result.h"

namespace railyard::rank {

struct Draw {
  uint64_t seed = 1;
  uint32_t operation = 0;
  uint32_t iteration = 0;
  int ranks = 1;
  bool rounded = false;  // floating-point types only
};

// Fills `count` elements with the input of `rank`.
void fill_input(const Draw& draw, ElementType type, int rank, uint64_t count, void* out);

// Fills `bytes` bytes with what `rank` sends.
void fill_bytes(const Draw& draw, int rank, uint64_t bytes, void* out);

// A number by itself, the same for every rank.
uint64_t draw_number(const Draw& draw, uint64_t index);

// Holds its buffers from one check to the next.
class SumCheck {
 public:
  // The first element of `got` that is not the sum over all ranks. `got` holds the `count` elements
  // from `begin` on.
  std::optional<worker::Mismatch> check(const Draw& draw, ElementType type, uint64_t count,
                                        const void* got, uint64_t begin = 0);

 private:
  // `begin` and `count` in components.
  template <typename Codec>
  std::optional<uint64_t> first_wrong_exact(const Draw& draw, uint64_t begin, uint64_t count,
                                            const void* got);
  template <typename Codec>
  std::optional<uint64_t> first_wrong_rounded(const Draw& draw, uint64_t begin, uint64_t count,
                                              const void* got);

  std::vector<int64_t> whole_;      // exact sums
  std::vector<double> sums_;        // rounded sums
  std::vector<double> magnitudes_;  // of what was summed
};

// The first element of `got` that is not the largest (or smallest) of all ranks', complex numbers
// by their real, then their imaginary part.
std::optional<worker::Mismatch> check_extremum(const Draw& draw, ElementType type, uint64_t count,
                                               bool largest, const void* got);

// The first byte of `got` that `rank` did not send.
std::optional<worker::Mismatch> check_bytes(const Draw& draw, int rank, uint64_t bytes,
                                            const void* got);

}  // namespace railyard::rank
