// Every collective once, with data that each rank can compute for all, checked byte by byte.
#pragma once

#include <stdexcept>
#include <string>

#include "railyard/group.h"

namespace railyard::test {

struct WrongData : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws std::invalid_argument for any other name than those in dtype.h.
Dtype dtype_of(const std::string& text);

// `operation`: all_sum, all_max, all_min, sum_scatter, all_gather, all_to_all, or broadcast (from
// rank seed % size). `count` elements in all or for each rank. Throws WrongData.
void check_operation(Group& group, const std::string& operation, Dtype dtype, size_t count,
                     bool in_place, unsigned seed);

// All of them, in place and not.
void check_all_operations(Group& group, Dtype dtype, size_t count, unsigned seed);

}  // namespace railyard::test
