// The C library's functions that take a descriptor, in front of the C library: those of the
// connection manager's channels are carried out here, every other one is passed on after one look
// into a table.
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "descriptors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "cm/commands.h"
#include "cm/manager.h"
#include "real.h"
#include "system_tree.h"

extern "C" {
int __fxstat(int version, int descriptor, struct stat* out) noexcept;
int __fxstat64(int version, int descriptor, struct stat64* out) noexcept;
}

namespace railyard::preload {

namespace {

constexpr int kMostDescriptors = 1 << 16;
std::atomic<bool> g_channels[kMostDescriptors];  // by descriptor

bool is_channel(int descriptor) {
  return descriptor >= 0 && descriptor < kMostDescriptors &&
         g_channels[descriptor].load(std::memory_order_relaxed);
}

template <typename Stat>
int stat_channel(Stat* out) {
  *out = {};
  out->st_mode = S_IFCHR | 0666;
  out->st_nlink = 1;
  out->st_rdev = makedev(kRdmaCmMajor, kRdmaCmMinor);
  out->st_blksize = 4096;
  return 0;
}

}  // namespace

int open_event_channel(int flags) {
  const Home* here = home();
  if (!here) return errno = ENODEV, -1;
  int descriptor = cm::Manager::of(*here).open_channel();
  if (descriptor < 0) return -1;
  if (descriptor >= kMostDescriptors) {
    cm::Manager::of(*here).close_channel(descriptor);
    RAILYARD_REAL(close)(descriptor);
    return errno = EMFILE, -1;
  }
  if (flags & O_NONBLOCK) fcntl(descriptor, F_SETFL, O_NONBLOCK);
  if (!(flags & O_CLOEXEC)) fcntl(descriptor, F_SETFD, 0);
  g_channels[descriptor].store(true, std::memory_order_release);
  return descriptor;
}

}  // namespace railyard::preload

using namespace railyard::preload;

RAILYARD_INTERPOSE ssize_t write(int descriptor, const void* data, size_t size) {
  if (!is_channel(descriptor)) return RAILYARD_REAL(write)(descriptor, data, size);
  int error = railyard::cm::carry_out(railyard::cm::Manager::of(*home()), descriptor, data, size);
  return error == 0 ? static_cast<ssize_t>(size) : (errno = error, -1);
}

RAILYARD_INTERPOSE int close(int descriptor) {
  if (is_channel(descriptor)) {
    g_channels[descriptor].store(false, std::memory_order_relaxed);
    railyard::cm::Manager::of(*home()).close_channel(descriptor);
  }
  return RAILYARD_REAL(close)(descriptor);
}

#define RAILYARD_FSTAT(name, type)                                                            \
  RAILYARD_INTERPOSE int name(int descriptor, type* out) noexcept {                           \
    return is_channel(descriptor) ? stat_channel(out) : RAILYARD_REAL(name)(descriptor, out); \
  }
RAILYARD_FSTAT(fstat, struct stat)
RAILYARD_FSTAT(fstat64, struct stat64)

#define RAILYARD_FXSTAT(name, type)                                                \
  RAILYARD_INTERPOSE int name(int version, int descriptor, type* out) noexcept {   \
    return is_channel(descriptor) ? stat_channel(out)                              \
                                  : RAILYARD_REAL(name)(version, descriptor, out); \
  }
RAILYARD_FXSTAT(__fxstat, struct stat)
RAILYARD_FXSTAT(__fxstat64, struct stat64)
