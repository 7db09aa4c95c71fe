// Computations on a group, each checked against the same on one rank. Every rank holds the whole
// model and takes its part of it. They throw WrongData.
#pragma once

#include <string>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/linear.h"

namespace railyard::test {

struct LinearCase {
  nn::Sharding sharding = nn::Sharding::all_to_sharded;
  Dtype dtype = Dtype::Float32;
  int64_t rows = 1, in = 1, out = 1;
  int segments = 1;
  int bits = 0;  // 0: not quantised
};

// What a rank printed must be the same on all of them: the bytes of a result, as text.
std::string digest(const nn::Array& array);

// forward() and backward() of shard_linear; returns the digest of what all ranks have.
std::string check_linear(Group& group, const LinearCase& which);

// down(up(x)), column-parallel then row-parallel, as in every transformer block.
std::string check_block(Group& group, Dtype dtype, int64_t rows, int64_t width, int64_t hidden,
                        int bits);

// The mean of gradients that differ by rank.
std::string check_average(Group& group, Dtype dtype, Dtype wire, size_t batch_bytes,
                          const std::vector<int64_t>& counts, bool mixed);

// One step of plain gradient descent of two tensor-parallel layers and of two data-parallel ones.
std::string check_training(Group& group, int64_t rows, int64_t width, int64_t hidden);

struct ExpertsCase {
  int experts = 8, top_k = 2;
  int64_t tokens = 1, width = 64, hidden = 32;
  Dtype dtype = Dtype::Float32, wire = Dtype::Float32;
  int bits = 0;
};
std::string check_experts(Group& group, const ExpertsCase& which);

}  // namespace railyard::test
