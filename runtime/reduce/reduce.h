// Element-wise sums.
#pragma once

#include <cstddef>

#include "railyard/dtype.h"

namespace railyard {

// out[i] = a[i] + b[i] for `bytes` bytes of `dtype`; bool: a[i] or b[i]. Integers wrap around;
// float16 and bfloat16 are added as float32 and rounded to nearest, ties to even, so that the
// result is the same on every processor. `out` may be `a` or `b`. The buffers are aligned to their
// element.
void sum(void* out, const void* a, const void* b, size_t bytes, Dtype dtype);

}  // namespace railyard
