// Element-wise maxima and minima.
#pragma once

#include <cstddef>

#include "railyard/dtype.h"

namespace railyard {

// out[i] = the larger (smaller) of a[i] and b[i], bit for bit one of the two. A NaN wins over every
// number; of equals a[i] is taken. Complex numbers are compared by their real, then by their
// imaginary part. `out` may be `a` or `b`. The buffers are aligned to their element.
void maximum(void* out, const void* a, const void* b, size_t bytes, Dtype dtype);
void minimum(void* out, const void* a, const void* b, size_t bytes, Dtype dtype);

}  // namespace railyard
