// The C library's functions that take a path, in front of the C library: a simulated path is
// replaced, every other one is passed on as it is.
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "descriptors.h"
#include "paths.h"
#include "real.h"

using railyard::preload::Path;

// What programs built against older C libraries call; today's headers do not declare them.
extern "C" {
int __xstat(int version, const char* path, struct stat* out) noexcept;
int __lxstat(int version, const char* path, struct stat* out) noexcept;
int __fxstatat(int version, int directory, const char* path, struct stat* out, int flags) noexcept;
int __xstat64(int version, const char* path, struct stat64* out) noexcept;
int __lxstat64(int version, const char* path, struct stat64* out) noexcept;
int __fxstatat64(int version, int directory, const char* path, struct stat64* out,
                 int flags) noexcept;
int __open_2(const char* path, int flags);
int __open64_2(const char* path, int flags);
char* __realpath_chk(const char* path, char* resolved, size_t size) noexcept;
ssize_t __readlink_chk(const char* path, char* out, size_t length, size_t size) noexcept;
}

namespace {

template <typename Stat>
int stat_device(const Path& path, Stat* out) {
  *out = {};
  out->st_mode = S_IFCHR | 0666;
  out->st_nlink = 1;
  out->st_rdev = makedev(path.major_number(), path.minor_number());
  out->st_blksize = 4096;
  return 0;
}

int open_device(const Path& path, int flags) {
  if (path.is_connection_manager()) return railyard::preload::open_event_channel(flags);
  // Nobody but libibverbs talks to an uverbs device, and the simulator's does not open it.
  return RAILYARD_REAL(open)("/dev/null", flags);
}

mode_t mode_of(int flags, va_list arguments) {
  bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
  return creates ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

#define RAILYARD_STAT(name, type)                                                      \
  RAILYARD_INTERPOSE int name(const char* asked, type* out) noexcept {                 \
    Path path(asked);                                                                  \
    return path.is_device() ? stat_device(path, out) : RAILYARD_REAL(name)(path, out); \
  }
RAILYARD_STAT(stat, struct stat)
RAILYARD_STAT(lstat, struct stat)
RAILYARD_STAT(stat64, struct stat64)
RAILYARD_STAT(lstat64, struct stat64)

#define RAILYARD_XSTAT(name, type)                                                              \
  RAILYARD_INTERPOSE int name(int version, const char* asked, type* out) noexcept {             \
    Path path(asked);                                                                           \
    return path.is_device() ? stat_device(path, out) : RAILYARD_REAL(name)(version, path, out); \
  }
RAILYARD_XSTAT(__xstat, struct stat)
RAILYARD_XSTAT(__lxstat, struct stat)
RAILYARD_XSTAT(__xstat64, struct stat64)
RAILYARD_XSTAT(__lxstat64, struct stat64)

#define RAILYARD_STATAT(name, type)                                                              \
  RAILYARD_INTERPOSE int name(int directory, const char* asked, type* out, int flags) noexcept { \
    Path path(asked);                                                                            \
    return path.is_device() ? stat_device(path, out)                                             \
                            : RAILYARD_REAL(name)(directory, path, out, flags);                  \
  }
RAILYARD_STATAT(fstatat, struct stat)
RAILYARD_STATAT(fstatat64, struct stat64)

#define RAILYARD_XSTATAT(name, type)                                                     \
  RAILYARD_INTERPOSE int name(int version, int directory, const char* asked, type* out,  \
                              int flags) noexcept {                                      \
    Path path(asked);                                                                    \
    return path.is_device() ? stat_device(path, out)                                     \
                            : RAILYARD_REAL(name)(version, directory, path, out, flags); \
  }
RAILYARD_XSTATAT(__fxstatat, struct stat)
RAILYARD_XSTATAT(__fxstatat64, struct stat64)

RAILYARD_INTERPOSE int statx(int directory, const char* asked, int flags, unsigned mask,
                             struct statx* out) noexcept {
  Path path(asked);
  if (!path.is_device()) return RAILYARD_REAL(statx)(directory, path, flags, mask, out);
  *out = {};
  out->stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK;
  out->stx_mode = S_IFCHR | 0666;
  out->stx_nlink = 1;
  out->stx_rdev_major = path.major_number();
  out->stx_rdev_minor = path.minor_number();
  return 0;
}

RAILYARD_INTERPOSE int access(const char* asked, int mode) noexcept {
  Path path(asked);
  if (path.is_device()) return (mode & X_OK) ? (errno = EACCES, -1) : 0;
  return RAILYARD_REAL(access)(path, mode);
}

RAILYARD_INTERPOSE int faccessat(int directory, const char* asked, int mode, int flags) noexcept {
  Path path(asked);
  if (path.is_device()) return (mode & X_OK) ? (errno = EACCES, -1) : 0;
  return RAILYARD_REAL(faccessat)(directory, path, mode, flags);
}

#define RAILYARD_OPEN(name)                                                                      \
  RAILYARD_INTERPOSE int name(const char* asked, int flags, ...) {                               \
    va_list arguments;                                                                           \
    va_start(arguments, flags);                                                                  \
    mode_t mode = mode_of(flags, arguments);                                                     \
    va_end(arguments);                                                                           \
    Path path(asked);                                                                            \
    return path.is_device() ? open_device(path, flags) : RAILYARD_REAL(name)(path, flags, mode); \
  }
RAILYARD_OPEN(open)
RAILYARD_OPEN(open64)

#define RAILYARD_OPENAT(name)                                                     \
  RAILYARD_INTERPOSE int name(int directory, const char* asked, int flags, ...) { \
    va_list arguments;                                                            \
    va_start(arguments, flags);                                                   \
    mode_t mode = mode_of(flags, arguments);                                      \
    va_end(arguments);                                                            \
    Path path(asked);                                                             \
    return path.is_device() ? open_device(path, flags)                            \
                            : RAILYARD_REAL(name)(directory, path, flags, mode);  \
  }
RAILYARD_OPENAT(openat)
RAILYARD_OPENAT(openat64)

#define RAILYARD_OPEN_2(name)                                                              \
  RAILYARD_INTERPOSE int name(const char* asked, int flags) {                              \
    Path path(asked);                                                                      \
    return path.is_device() ? open_device(path, flags) : RAILYARD_REAL(name)(path, flags); \
  }
RAILYARD_OPEN_2(__open_2)
RAILYARD_OPEN_2(__open64_2)

RAILYARD_INTERPOSE FILE* fopen(const char* asked, const char* mode) {
  return RAILYARD_REAL(fopen)(Path(asked), mode);
}

RAILYARD_INTERPOSE FILE* fopen64(const char* asked, const char* mode) {
  return RAILYARD_REAL(fopen64)(Path(asked), mode);
}

RAILYARD_INTERPOSE DIR* opendir(const char* asked) { return RAILYARD_REAL(opendir)(Path(asked)); }

RAILYARD_INTERPOSE int scandir(const char* asked, dirent*** names, int (*filter)(const dirent*),
                               int (*compare)(const dirent**, const dirent**)) {
  return RAILYARD_REAL(scandir)(Path(asked), names, filter, compare);
}

RAILYARD_INTERPOSE int scandir64(const char* asked, dirent64*** names,
                                 int (*filter)(const dirent64*),
                                 int (*compare)(const dirent64**, const dirent64**)) {
  return RAILYARD_REAL(scandir64)(Path(asked), names, filter, compare);
}

RAILYARD_INTERPOSE ssize_t readlink(const char* asked, char* out, size_t length) noexcept {
  return RAILYARD_REAL(readlink)(Path(asked), out, length);
}

RAILYARD_INTERPOSE ssize_t readlinkat(int directory, const char* asked, char* out,
                                      size_t length) noexcept {
  return RAILYARD_REAL(readlinkat)(directory, Path(asked), out, length);
}

RAILYARD_INTERPOSE ssize_t __readlink_chk(const char* asked, char* out, size_t length,
                                          size_t size) noexcept {
  return RAILYARD_REAL(__readlink_chk)(Path(asked), out, length, size);
}

RAILYARD_INTERPOSE char* realpath(const char* asked, char* resolved) noexcept {
  return RAILYARD_REAL(realpath)(Path(asked), resolved);
}

RAILYARD_INTERPOSE char* __realpath_chk(const char* asked, char* resolved, size_t size) noexcept {
  return RAILYARD_REAL(__realpath_chk)(Path(asked), resolved, size);
}
