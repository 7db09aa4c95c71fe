// Named shared memory, private to the user.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace railyard::platform {

// A mapping of a POSIX shared-memory object; unmapped (not unlinked) with the object.
// Names are at most 30 characters plus the slash: macOS allows no more.
class SharedMemory {
 public:
  // Creates a new object, mode 0600, sparse. Throws std::system_error.
  static SharedMemory create(const std::string& name, size_t bytes);
  // Opens an existing one of this user. Throws std::system_error (EACCES: another user's).
  static SharedMemory open(const std::string& name);
  static void unlink(const std::string& name) noexcept;
  // The objects of this user whose names begin so and whose creator has closed them or is dead; young ones are left
  // out. None where the system does not list such objects (macOS).
  static std::vector<std::string> abandoned(const std::string& prefix);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  int descriptor() const { return fd_; }

  // Backs a range with real pages now, so that a full file system is an error (false, errno ENOSPC)
  // and not a SIGBUS at the first touch. A no-op where the system cannot say.
  bool commit(size_t offset, size_t bytes) const;

  // Gives the pages of a range back; it reads as zeros afterwards.
  void discard(size_t offset, size_t bytes) const;

 private:
  SharedMemory(int fd, std::byte* data, size_t bytes) : fd_(fd), data_(data), bytes_(bytes) {}
  static SharedMemory map(int fd, size_t bytes);

  int fd_ = -1;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace railyard::platform
