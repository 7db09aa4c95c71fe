// The functions that this library stands in front of.
#pragma once

#include <dlfcn.h>

// The next definition of a function after this library's own, found once. nullptr where there is
// none (some are in old C libraries only).
#define RAILYARD_REAL(name)                                                                 \
  ([]() noexcept {                                                                          \
    static const auto found = reinterpret_cast<decltype(&::name)>(dlsym(RTLD_NEXT, #name)); \
    return found;                                                                           \
  }())

// Before the definition of a function that programs get instead of the system's.
#define RAILYARD_INTERPOSE extern "C" __attribute__((visibility("default")))
