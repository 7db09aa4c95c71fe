// Where sysfs is mounted, and one file of it: what librdmacm and ibv_devinfo ask libibverbs for.
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "verbs/export.h"

// No installed header declares these two.
RAILYARD_VERB const char* ibv_get_sysfs_path(void);
RAILYARD_VERB int ibv_read_sysfs_file(const char* dir, const char* file, char* buf, size_t size);

RAILYARD_VERB const char* ibv_get_sysfs_path(void) {
  static const std::string path = [] {
    const char* given = getenv("SYSFS_PATH");
    std::string found = given && *given ? given : "/sys";
    while (found.size() > 1 && found.back() == '/') found.pop_back();
    return found;
  }();
  return path.c_str();
}

// Reads the file as a text without its closing newline; returns its length, or -1 with errno.
RAILYARD_VERB int ibv_read_sysfs_file(const char* dir, const char* file, char* buf, size_t size) {
  if (size == 0) {
    errno = EINVAL;
    return -1;
  }
  int descriptor = open((std::string(dir) + "/" + file).c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return -1;
  ssize_t length;
  do {
    length = read(descriptor, buf, size);
  } while (length < 0 && errno == EINTR);
  int error_number = errno;
  close(descriptor);
  if (length < 0) {
    errno = error_number;
    return -1;
  }
  auto end = static_cast<size_t>(length);
  if (end > 0 && buf[end - 1] == '\n') --end;
  if (end == size) {  // a text that is cut off is no value
    errno = EMSGSIZE;
    return -1;
  }
  buf[end] = '\0';
  return static_cast<int>(end);
}
