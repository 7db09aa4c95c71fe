// Copies between the private memories of two processes of one user.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace railyard::platform {

// Whether the system has such a copy at all. Where it has, it may still be forbidden for a pair of
// processes (containers, ptrace scopes): try it once with a known word.
bool cross_copy_available();

// Whether others see the pieces of one copy come in their order. x86-64 keeps the order of stores, and
// that of one string instruction's to another's (Intel SDM, volume 3A, 9.2.4).
#ifdef __x86_64__
inline constexpr bool kPiecesInOrder = true;
#else
inline constexpr bool kPiecesInOrder = false;
#endif

// Let processes of the same user read this one's memory where the system asks for consent.
void allow_cross_copy();

// Both return 0 or an errno: ESRCH (the process is gone), EFAULT (an address is), EPERM. The two
// lists must have the same number of bytes in all.
int copy_from_process(pid_t pid, const iovec* local, size_t local_count, const iovec* remote,
                      size_t remote_count);
int copy_to_process(pid_t pid, const iovec* local, size_t local_count, const iovec* remote,
                    size_t remote_count);

}  // namespace railyard::platform
