// Pages of the processor's second size. Who copies from another process's memory has the system
// look up and pin every page of it: with 4 KiB pages that takes as long as the copy.
#pragma once

#include <cstddef>

namespace railyard::platform {

// Bytes of such a page, which is also its alignment; 0 where merge_pages() is of no use.
size_t large_page_bytes();

// Asks the system to lay the block at `address`, of large_page_bytes() and aligned so, in one page.
// What it holds and who may see it stays the same. It blocks while the system copies the block,
// some 100 us. False: the system cannot or does not want to, now or ever.
bool merge_pages(void* address);

}  // namespace railyard::platform
