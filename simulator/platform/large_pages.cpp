#include "platform/large_pages.h"

#ifdef RAILYARD_LINUX
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace railyard::platform {

#ifdef RAILYARD_LINUX

namespace {

// Linux 6.1; older ones refuse it.
constexpr int kCollapse = 25;  // MADV_COLLAPSE, which older headers lack

}  // namespace

// With other small pages the next size is hundreds of megabytes.
size_t large_page_bytes() { return sysconf(_SC_PAGESIZE) == 4096 ? size_t{2} << 20 : 0; }

bool merge_pages(void* address) { return madvise(address, large_page_bytes(), kCollapse) == 0; }

#else

size_t large_page_bytes() { return 0; }
bool merge_pages(void*) { return false; }

#endif

}  // namespace railyard::platform
