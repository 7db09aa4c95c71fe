#include "platform/shared_memory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

namespace railyard::platform {
namespace {

#ifdef RAILYARD_LINUX
// Whoever makes a segment may not have locked it yet.
constexpr time_t kGraceSeconds = 600;
#endif

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

SharedMemory SharedMemory::map(int fd, size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    int saved = errno;
    close(fd);
    errno = saved;
    fail("mmap of shared memory");
  }
  return SharedMemory(fd, static_cast<std::byte*>(data), bytes);
}

SharedMemory SharedMemory::create(const std::string& name, size_t bytes) {
  int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) fail("shm_open " + name);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  flock(fd, LOCK_EX | LOCK_NB);  // for abandoned()
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    int saved = errno;
    close(fd);
    unlink(name);
    errno = saved;
    fail("ftruncate " + name);
  }
  return map(fd, bytes);
}

SharedMemory SharedMemory::open(const std::string& name) {
  int fd = shm_open(name.c_str(), O_RDWR, 0);
  if (fd < 0) fail("shm_open " + name);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  struct stat info;
  if (fstat(fd, &info) != 0 || info.st_uid != geteuid()) {
    if (info.st_uid != geteuid()) errno = EACCES;
    int saved = errno;
    close(fd);
    errno = saved;
    fail("shared memory " + name);
  }
  return map(fd, static_cast<size_t>(info.st_size));
}

std::vector<std::string> SharedMemory::abandoned(const std::string& prefix) {
  std::vector<std::string> names;
#ifdef RAILYARD_LINUX
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", unreadable)) {
    std::string file = entry.path().filename();
    struct stat info;
    if (!file.starts_with(prefix) || stat(entry.path().c_str(), &info) != 0) continue;
    if (info.st_uid != geteuid() || time(nullptr) - info.st_mtime < kGraceSeconds) continue;
    int fd = shm_open(("/" + file).c_str(), O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) names.push_back("/" + file);
    close(fd);
  }
#else
  (void)prefix;
#endif
  return names;
}

void SharedMemory::unlink(const std::string& name) noexcept { shm_unlink(name.c_str()); }

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_) munmap(data_, bytes_);
  if (fd_ >= 0) close(fd_);
}

bool SharedMemory::commit(size_t offset, size_t bytes) const {
#ifdef RAILYARD_LINUX
  int result;
  do {
    result = fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  return result == 0 || errno == EOPNOTSUPP;
#else
  (void)offset, (void)bytes;
  return true;
#endif
}

void SharedMemory::discard(size_t offset, size_t bytes) const {
#ifdef RAILYARD_LINUX
  fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(bytes));
#else
  (void)offset, (void)bytes;
#endif
}

}  // namespace railyard::platform
