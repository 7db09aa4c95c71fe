#include "passthrough/real.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "passthrough/rules.h"
#include "verbs/export.h"

// The table through which forwards.S jumps.
#define SLOT(name, node) +1
static constexpr int kSlots = 0
#include "passthrough/slots.inc"
    ;
#undef SLOT

extern "C" {
__attribute__((visibility("hidden"))) void* railyard_passthrough_slots[kSlots];
}

#ifdef __linux__
// An object, not a function, of each private version node: whether destroy verbs may fail with EIO
// when a device has gone away. Providers that stand on this library read it.
RAILYARD_VERB bool railyard_passthrough_flag;
bool railyard_passthrough_flag = false;
asm(".symver railyard_passthrough_flag,verbs_allow_disassociate_destroy@IBVERBS_PRIVATE_34");
asm(".symver railyard_passthrough_flag,verbs_allow_disassociate_destroy@IBVERBS_PRIVATE_59");
asm(".symver railyard_passthrough_flag,verbs_allow_disassociate_destroy@IBVERBS_PRIVATE_64");
#endif

namespace railyard::passthrough {

namespace {

struct Slot {
  const char* name;
  const char* node;
};
constexpr Slot kNames[] = {
#define SLOT(name, node) {name, node},
#include "passthrough/slots.inc"
#undef SLOT
};
static_assert(std::size(kNames) == kSlots);

#ifdef __APPLE__
constexpr const char* kSystem[] = {"/usr/lib/librdma.dylib"};
#else
constexpr const char* kSystem[] = {"/usr/lib/" RAILYARD_ARCHITECTURE "/libibverbs.so.1",
                                   "/usr/lib64/libibverbs.so.1", "/usr/lib/libibverbs.so.1",
                                   "/lib/" RAILYARD_ARCHITECTURE "/libibverbs.so.1"};
#endif

// What a function answers that the real library does not have; fits every signature, as in
// simulator/verbs/private_stubs.cpp.
int absent() { return errno = EOPNOTSUPP; }

void* load() {
  std::string file;
  if (const char* path = std::getenv(kRealVariable); path && *path) {
    file = path;
  } else {
    for (const char* system : kSystem) {
      if (access(system, R_OK) == 0 && file.empty()) file = system;
    }
    if (file.empty()) file = kSystem[0];
  }
  int mode = RTLD_NOW | RTLD_LOCAL;
#if defined(__linux__) && !defined(RAILYARD_SANITIZED)
  // Its own symbols before ours of the same names: what it calls itself is none of our business.
  mode |= RTLD_DEEPBIND;
#endif
  void* handle = dlopen(file.c_str(), mode);
  if (!handle) {
    const char* reason = dlerror();
    std::fprintf(stderr, "%s: the device's own verbs library cannot be loaded (%s); set %s\n",
                 file.c_str(), reason ? reason : "no reason given", kRealVariable);
    std::_Exit(2);
  }
  return handle;
}

void* real_library() {
  static void* handle = load();
  return handle;
}

// Before anybody can call: constructors of those who need this library run after its own.
__attribute__((constructor)) void fill_slots() {
  Rules::instance();
  for (size_t i = 0; i < std::size(kNames); ++i) {
    void* found = nullptr;
#ifdef __linux__
    if (*kNames[i].node) found = dlvsym(real_library(), kNames[i].name, kNames[i].node);
#endif
    if (!found) found = dlsym(real_library(), kNames[i].name);
    railyard_passthrough_slots[i] = found ? found : reinterpret_cast<void*>(absent);
  }
}

}  // namespace

void* real_symbol(const char* name) { return dlsym(real_library(), name); }

}  // namespace railyard::passthrough
