// Products of row-major float32 matrices; the one place that knows Eigen.
#pragma once

#include <cstdint>

namespace railyard::nn {

// y[rows, out] = x[rows, in] w[out, in]ᵀ. `y_stride` is the distance between rows of y, so that a
// part of its columns can be computed.
void multiply_transposed(const float* x, const float* w, float* y, int64_t rows, int64_t in,
                         int64_t out, int64_t y_stride);

// x[rows, in] += y[rows, out] w[out, in]
void add_product(const float* y, int64_t y_stride, const float* w, float* x, int64_t rows,
                 int64_t out, int64_t in);

// w[out, in] = y[rows, out]ᵀ x[rows, in]
void transposed_product(const float* y, const float* x, float* w, int64_t rows, int64_t out,
                        int64_t in);

}  // namespace railyard::nn
