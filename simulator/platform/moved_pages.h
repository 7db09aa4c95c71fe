// Memory of a running program that is laid into shared memory, and back, at its own addresses: what
// it holds stays the same, and no thread loses a write, whatever it does meanwhile.
#pragma once

#include <cstddef>
#include <vector>

#include "platform/shared_memory.h"

namespace railyard::platform {

// Whether the system can hold back the writes of all threads, those of their system calls included,
// for as long as a move takes. Linux 6.4, where the user may have a userfaultfd for the kernel's
// faults too: as root, or with /proc/sys/vm/unprivileged_userfaultfd 1.
bool pages_can_move();

// Whether these whole pages are private memory with nothing special about them, so that the program
// cannot tell where they lie. Not the caller's stack; nothing at all in a program that may
// have something write to its memory by itself, which moving would lose (io_uring, aio, O_DIRECT,
// mapped devices).
bool may_move(const void* address, size_t bytes);

// Lays whole pages at `offset` of the shared memory, which is committed. False: nothing changed.
bool move_in(const SharedMemory& memory, size_t offset, void* address, size_t bytes);
// Makes private what the program has of that part of the shared memory, wherever it has moved it.
// False: some of it stays there.
bool move_out(const SharedMemory& memory, size_t offset, size_t bytes);

// Where a program has parts of a shared memory that do not begin where that does: beside mappings
// of the whole.
struct Part {
  std::byte* address;
  size_t bytes, offset;
  int protection;
};
std::vector<Part> parts_of(const SharedMemory& memory);

// Makes a part private in the child of fork(), while its parent waits. Only system calls.
void copy_out_in_child(const SharedMemory& memory, const Part& part);

}  // namespace railyard::platform
