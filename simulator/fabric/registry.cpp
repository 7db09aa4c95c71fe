#include "fabric/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>
#include <utility>

#include "platform/shared_memory.h"
#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

// The user's folder of run files; private, so that nobody else can put a name there.
std::string folder() {
  const char* base = getenv("TMPDIR");
  std::string path = fmt::format("{}/railyard-{}", base && *base ? base : "/tmp", geteuid());
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw Error(fmt::format("{}: {}", path, strerror(errno)));
  }
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 077) != 0) {
    throw Error(fmt::format("{}: is not a private folder of this user (mode 0700); remove it", path));
  }
  return path;
}

constexpr const char kPrefix[] = "railyard.";

}  // namespace

Registration Registration::create() {
  std::string directory = folder();
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string file = fmt::format("{}{:08x}", kPrefix, random());
    std::string path = directory + "/" + file;
    // Locked before it has its name: nobody can take it for an orphan in between.
    std::string hidden = fmt::format("{}/.new-{}", directory, file);
    int fd = open(hidden.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
      if (errno == EEXIST) continue;
      throw Error(fmt::format("{}: {}", hidden, strerror(errno)));
    }
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0 && link(hidden.c_str(), path.c_str()) == 0;
    unlink(hidden.c_str());
    if (locked) return Registration("/" + file, path, fd);
    close(fd);
  }
  throw Error(fmt::format("{}: cannot register a segment: {}", directory, strerror(errno)));
}

Registration::Registration(Registration&& other) noexcept
    : name_(std::move(other.name_)), path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

Registration& Registration::operator=(Registration&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

Registration::~Registration() {
  if (fd_ < 0) return;
  platform::SharedMemory::unlink(name_);
  unlink(path_.c_str());
  close(fd_);
}

int sweep() {
  std::string directory = folder();
  DIR* listing = opendir(directory.c_str());
  if (!listing) return 0;
  int swept = 0;
  while (dirent* entry = readdir(listing)) {
    std::string file = entry->d_name;
    bool hidden = file.starts_with(".new-");
    if (!hidden && !file.starts_with(kPrefix)) continue;
    std::string path = directory + "/" + file;
    int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
      if (!hidden) platform::SharedMemory::unlink("/" + file);
      if (unlink(path.c_str()) == 0 && !hidden) ++swept;
    }
    close(fd);
  }
  closedir(listing);
  // Those whose folder went with a test's temporary directory.
  for (const std::string& name : platform::SharedMemory::abandoned(kPrefix)) {
    platform::SharedMemory::unlink(name);
    ++swept;
  }
  return swept;
}

}  // namespace railyard::fabric
