// The device's own library.
#pragma once

#include <string>

namespace railyard::passthrough {

// A function of the real library, nullptr: it has none of that name. The library is loaded by the
// first call at the latest; when there is none, the process ends with exit code 2 and one line.
void* real_symbol(const char* name);

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(real_symbol(name));
}

}  // namespace railyard::passthrough
