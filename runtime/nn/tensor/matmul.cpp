#include "nn/tensor/matmul.h"

#include <Eigen/Core>

namespace railyard::nn {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;
using Stride = Eigen::OuterStride<>;
using Input = Eigen::Map<const Matrix, Eigen::Unaligned, Stride>;
using Output = Eigen::Map<Matrix, Eigen::Unaligned, Stride>;

Input input(const float* data, int64_t rows, int64_t columns, int64_t stride) {
  return {data, rows, columns, Stride(stride)};
}

Output output(float* data, int64_t rows, int64_t columns, int64_t stride) {
  return {data, rows, columns, Stride(stride)};
}

}  // namespace

void multiply_transposed(const float* x, const float* w, float* y, int64_t rows, int64_t in,
                         int64_t out, int64_t y_stride) {
  if (rows == 1) {  // one token: a matrix times a vector, which reads the weight once
    Eigen::Map<Vector>(y, out).noalias() = input(w, out, in, in) * Eigen::Map<const Vector>(x, in);
    return;
  }
  output(y, rows, out, y_stride).noalias() =
      input(x, rows, in, in) * input(w, out, in, in).transpose();
}

void add_product(const float* y, int64_t y_stride, const float* w, float* x, int64_t rows,
                 int64_t out, int64_t in) {
  output(x, rows, in, in).noalias() += input(y, rows, out, y_stride) * input(w, out, in, in);
}

void transposed_product(const float* y, const float* x, float* w, int64_t rows, int64_t out,
                        int64_t in) {
  output(w, out, in, in).noalias() = input(y, rows, out, out).transpose() * input(x, rows, in, in);
}

}  // namespace railyard::nn
