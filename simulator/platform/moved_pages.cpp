#include "platform/moved_pages.h"

#ifdef RAILYARD_LINUX

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#endif

namespace railyard::platform {

#ifdef RAILYARD_LINUX

namespace {

// Features of userfaultfd(2) that older headers lack: write protection of shared memory, and of
// pages that are not there yet.
constexpr uint64_t kSharedMemory = 1 << 12, kUnpopulated = 1 << 13;

int open_userfaultfd() {
  auto descriptor = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
  if (descriptor < 0) return -1;
  uffdio_api wanted{};
  wanted.api = UFFD_API;
  wanted.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | kSharedMemory | kUnpopulated;
  if (ioctl(descriptor, UFFDIO_API, &wanted) == 0) return descriptor;
  close(descriptor);
  return -1;
}

// While this exists, who writes to these pages waits. So nothing may be called here that might: all
// that a holder does is copy and map.
class HeldBack {
 public:
  HeldBack(void* address, size_t bytes) : descriptor_(open_userfaultfd()) {
    if (descriptor_ < 0) return;
    uffdio_range range{reinterpret_cast<uintptr_t>(address), bytes};
    uffdio_register watched{};
    watched.range = range;
    watched.mode = UFFDIO_REGISTER_MODE_WP;
    uffdio_writeprotect held{};
    held.range = range;
    held.mode = UFFDIO_WRITEPROTECT_MODE_WP;
    works_ = ioctl(descriptor_, UFFDIO_REGISTER, &watched) == 0 &&
             ioctl(descriptor_, UFFDIO_WRITEPROTECT, &held) == 0;
  }
  ~HeldBack() {
    if (descriptor_ >= 0) close(descriptor_);  // which lets go whoever waits
  }
  HeldBack(const HeldBack&) = delete;
  HeldBack& operator=(const HeldBack&) = delete;
  bool works() const { return works_; }

 private:
  int descriptor_;
  bool works_ = false;
};

// The program's own memory: a sanitizer knows nothing of what lies there, so it shall see neither
// the accesses nor a call of memcpy.
__attribute__((no_sanitize("address", "thread", "undefined"))) void copy_words(
    std::byte* to, const std::byte* from, size_t bytes) {
  auto* word = reinterpret_cast<uint64_t*>(to);
  auto* source = reinterpret_cast<const uint64_t*>(from);
  for (size_t i = 0; i < bytes / sizeof *word; i += 8) {
    for (size_t k = 0; k < 8; ++k) word[i + k] = source[i + k];
    asm volatile("" ::: "memory");
  }
}

// Not by mmap(): to a sanitizer that is an access, and one that nobody has agreed on.
bool lay_over(void* address, size_t bytes, int protection, int kind, int descriptor, size_t from) {
  long place = syscall(SYS_mmap, address, bytes, protection, kind | MAP_FIXED, descriptor, from);
  return place == reinterpret_cast<long>(address);
}

// A mapping as proc_pid_maps(5) tells it.
struct Mapping {
  uintptr_t begin, end;
  char rights[8];
  size_t offset;
  unsigned major, minor;
  unsigned long inode;
  std::string name;
};

bool parse(const std::string& line, Mapping& out) {
  int name = 0;
  if (sscanf(line.c_str(), "%lx-%lx %7s %lx %x:%x %lu %n", &out.begin, &out.end, out.rights,
             &out.offset, &out.major, &out.minor, &out.inode, &name) < 7) {
    return false;
  }
  out.name = line.substr(static_cast<size_t>(name));
  return true;
}

bool plain(const Mapping& mapping) {
  return memcmp(mapping.rights, "rw-p", 4) == 0 && mapping.inode == 0 &&
         (mapping.name.empty() || mapping.name == "[heap]" || mapping.name.starts_with("[anon:"));
}

// The flags of proc_pid_smaps(5) that say nothing of interest: readable, writable, advice on large
// pages, no swap space reserved, changed since somebody looked.
bool usual(const std::string& flags) {
  static const std::string kUsual = " rd wr mr mw me ac sd hg nh nr ";
  for (size_t at = strlen("VmFlags:"); at + 3 <= flags.size(); at += 3) {
    if (kUsual.find(flags.substr(at, 3) + " ") == std::string::npos) return false;
  }
  return true;
}

}  // namespace

bool pages_can_move() {
  int descriptor = open_userfaultfd();
  if (descriptor >= 0) close(descriptor);
  return descriptor >= 0;
}

namespace {

// Mappings of those who write to a program's memory past its page tables: kernel queues, devices.
bool writes_by_itself(const std::string& name) {
  return name.find("[io_uring]") != std::string::npos || name.find("[aio]") != std::string::npos ||
         (name.starts_with("/dev/") && !name.starts_with("/dev/shm/") &&
          !name.starts_with("/dev/zero"));
}

// As disks do for files that are open so.
bool has_direct_files() {
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", unreadable)) {
    int flags = fcntl(atoi(entry.path().filename().c_str()), F_GETFL);
    if (flags >= 0 && (flags & O_DIRECT)) return true;
  }
  return static_cast<bool>(unreadable);
}

}  // namespace

bool may_move(const void* address, size_t bytes) {
  if (has_direct_files()) return false;
  auto next = reinterpret_cast<uintptr_t>(address), end = next + bytes;
  auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  std::ifstream maps("/proc/self/smaps");
  Mapping mapping{};
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with("VmFlags:")) {
      if (!inside) continue;
      if (!usual(line)) return false;
      next = mapping.end;
    } else if (parse(line, mapping)) {
      if (writes_by_itself(mapping.name)) return false;
      inside = next < end && mapping.begin <= next && next < mapping.end;
      if (inside && (!plain(mapping) || (mapping.begin <= here && here < mapping.end)))
        return false;
    }
  }
  return next >= end;
}

bool move_in(const SharedMemory& memory, size_t offset, void* address, size_t bytes) {
  HeldBack writers(address, bytes);
  if (!writers.works()) return false;
  copy_words(memory.data() + offset, static_cast<std::byte*>(address), bytes);
  constexpr int kBoth = PROT_READ | PROT_WRITE;
  if (lay_over(address, bytes, kBoth, MAP_SHARED, memory.descriptor(), offset)) return true;
  // Where that fails it may have taken away what was there.
  if (lay_over(address, bytes, kBoth, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    copy_words(static_cast<std::byte*>(address), memory.data() + offset, bytes);
  }
  return false;
}

namespace {

bool make_private(std::byte* address, size_t bytes, int protection, bool alone) {
  void* fresh = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) return false;
  bool moved = false;
  // What the program may not read now it may want to read later.
  bool readable = protection & PROT_READ;
  if (readable || mprotect(address, bytes, PROT_READ) == 0) {
    auto move = [&] {
      copy_words(static_cast<std::byte*>(fresh), address, bytes);
      if (protection != (PROT_READ | PROT_WRITE)) mprotect(fresh, bytes, protection);
      return mremap(fresh, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, address) == address;
    };
    if (alone) {
      moved = move();
    } else {
      HeldBack writers(address, bytes);
      moved = writers.works() && move();
    }
  }
  if (moved) return true;
  if (!readable) mprotect(address, bytes, protection);
  munmap(fresh, bytes);
  return false;
}

}  // namespace

std::vector<Part> parts_of(const SharedMemory& memory) {
  std::vector<Part> parts;
  struct stat file;
  if (fstat(memory.descriptor(), &file) != 0) return parts;
  std::ifstream maps("/proc/self/maps");
  Mapping mapping{};
  for (std::string line; std::getline(maps, line);) {
    if (!parse(line, mapping) || mapping.inode != file.st_ino) continue;
    if (mapping.major != major(file.st_dev) || mapping.minor != minor(file.st_dev)) continue;
    // This mapping of the whole, or one that others in the program have.
    if (mapping.offset == 0) continue;
    if (mapping.rights[3] != 's') continue;
    int protection = (mapping.rights[0] == 'r' ? PROT_READ : 0) |
                     (mapping.rights[1] == 'w' ? PROT_WRITE : 0) |
                     (mapping.rights[2] == 'x' ? PROT_EXEC : 0);
    parts.push_back({reinterpret_cast<std::byte*>(mapping.begin), mapping.end - mapping.begin,
                     mapping.offset, protection});
  }
  return parts;
}

bool move_out(const SharedMemory& memory, size_t offset, size_t bytes) {
  bool all = true;
  for (const Part& part : parts_of(memory)) {
    size_t begin = std::max(offset, part.offset);
    size_t end = std::min(offset + bytes, part.offset + part.bytes);
    if (begin >= end) continue;
    all &= make_private(part.address + (begin - part.offset), end - begin, part.protection, false);
  }
  return all;
}

void copy_out_in_child(const SharedMemory& memory, const Part& part) {
  if (make_private(part.address, part.bytes, part.protection, true)) return;
  // No room for a copy. At least nothing that the child writes shall be seen by others.
  lay_over(part.address, part.bytes, part.protection, MAP_PRIVATE, memory.descriptor(),
           part.offset);
}

#else

bool pages_can_move() { return false; }
bool may_move(const void*, size_t) { return false; }
bool move_in(const SharedMemory&, size_t, void*, size_t) { return false; }
bool move_out(const SharedMemory&, size_t, size_t) { return false; }
std::vector<Part> parts_of(const SharedMemory&) { return {}; }
void copy_out_in_child(const SharedMemory&, const Part&) {}

#endif

}  // namespace railyard::platform
