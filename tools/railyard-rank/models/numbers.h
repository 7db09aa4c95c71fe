// Weights and activations that every rank draws alike, and the comparison with the reference.
#pragma once

#include <optional>
#include <string>

#include "railyard-rank/inputs.h"
#include "railyard/nn/array.h"
#include "railyard/nn/linear.h"
#include "worker/result.h"

namespace railyard::rank {

Dtype dtype_of(const std::string& name);

// A weight [out, in] of which products with numbers near one are near one. `index` tells the
// weights of a model apart.
nn::Array draw_weight(const Draw& draw, uint32_t index, int64_t out, int64_t in, Dtype dtype);

// Activations of `rank`.
nn::Array draw_activations(const Draw& draw, int rank, int64_t rows, int64_t width, Dtype dtype);

// Every row divided by its root mean square, so that layers may follow each other for ever.
nn::Array normalized(const nn::Array& x);

// a + b, rounded to the dtype of a.
nn::Array plus(const nn::Array& a, const nn::Array& b);

// The largest error, as a part of the largest number, that a sum of `terms` products in float32 may
// have which was rounded to `dtype` `roundings` times.
double tolerance(int64_t terms, Dtype dtype, int roundings);

// The first number of `got` further from `wanted` than `tolerance` times the largest of `wanted`;
// `where` ("layer 3") becomes part of the finding.
std::optional<worker::Mismatch> compare(const nn::Array& got, const nn::Array& wanted,
                                        double tolerance, uint32_t iteration,
                                        const std::string& where);

}  // namespace railyard::rank
