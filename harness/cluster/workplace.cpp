#include "cluster/workplace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <new>
#include <stdexcept>
#include <vector>

#include "railyard/guard.h"

namespace railyard::harness {

namespace fs = std::filesystem;

namespace {

constexpr char kPrefix[] = "railyard-run-", kKept[] = "kept";
// Younger ones may not have their lock yet, or not hold it.
constexpr auto kFreshAge = std::chrono::seconds(10), kLocklessAge = std::chrono::seconds(60);
constexpr std::streamoff kTailBytes = 16 * 1024;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// A lock that dies with its holder says whether a directory's run still lives.
int lock_file(const std::string& directory) {
  int descriptor = open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return -1;
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  close(descriptor);
  return -1;
}

}  // namespace

Workplace::Workplace() {
  // Who is killed before the guard knows of its directory leaves it to the next that starts.
  static std::once_flag once;
  std::call_once(once, [] { sweep(); });
  Guard& guard = Guard::start();
  path_ = (fs::temp_directory_path() / (std::string(kPrefix) + "XXXXXX")).string();
  if (mkdtemp(path_.data()) == nullptr) fail("cannot make a directory for the run, " + path_);
  guard.add_directory(path_);
  lock_ = lock_file(path_);
}

Workplace::~Workplace() {
  std::error_code error;
  if (keep_) {
    std::ofstream(file(kKept)).flush();  // no sweep takes it
  } else {
    fs::remove_all(path_, error);
  }
  if (lock_ >= 0) close(lock_);
  Guard::start().remove_directory(path_);
}

void Workplace::write(const std::string& name, const std::string& text) const {
  std::ofstream stream(file(name), std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) fail("cannot write " + file(name));
}

int Workplace::sweep() {
  int swept = 0;
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::temp_directory_path(), error)) {
    if (entry.path().filename().string().rfind(kPrefix, 0) != 0) continue;
    struct stat status;
    if (lstat(entry.path().c_str(), &status) != 0 || status.st_uid != getuid() ||
        !S_ISDIR(status.st_mode)) {
      continue;
    }
    auto age = fs::file_time_type::clock::now() - entry.last_write_time(error);
    if (fs::exists(entry.path() / kKept, error)) continue;
    bool locked = fs::exists(entry.path() / "lock", error);
    if (error || age < (locked ? kFreshAge : kLocklessAge)) continue;
    int lock = lock_file(entry.path());
    if (lock < 0) continue;
    fs::remove_all(entry.path(), error);
    close(lock);
    ++swept;
  }
  return swept;
}

PageFile::PageFile(const std::string& path) {
  int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) fail("cannot make " + path);
  void* memory = MAP_FAILED;
  // Written in full: a hole would end the harness when the disk has no room for it.
  const std::vector<char> zeros(kWorkerPageBytes);
  if (write(descriptor, zeros.data(), zeros.size()) == static_cast<ssize_t>(zeros.size())) {
    memory = mmap(nullptr, kWorkerPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  close(descriptor);
  if (memory == MAP_FAILED) fail("cannot map " + path);
  page_ = new (memory) WorkerPage;
}

PageFile::~PageFile() {
  if (page_) munmap(page_, kWorkerPageBytes);
}

std::string tail_of(const std::string& file, int lines) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return "";
  stream.seekg(0, std::ios::end);
  std::streamoff size = stream.tellg();
  std::streamoff from = size > kTailBytes ? size - kTailBytes : 0;
  stream.seekg(from);
  std::string text(static_cast<size_t>(size - from), '\0');
  stream.read(text.data(), size - from);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t at = text.size();
  for (int i = 0; i < lines && at != std::string::npos && at > 0; ++i)
    at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace railyard::harness
