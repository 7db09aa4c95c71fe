// Something done after any instruction of a piece of code, to try each moment at which a thread may
// lose its core or its process may die.
#pragma once

#if defined(__linux__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define RAILYARD_SINGLE_STEPS 1

#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>

namespace railyard::test {

// One thread of a process at a time.
class SingleSteps {
 public:
  // After so many instructions of what begin() and end() enclose, `then` is called, in the handler
  // of a signal. The rest runs as ever.
  static void arm(int steps, void (*then)()) {
    left_ = steps;
    then_ = then;
    struct sigaction action = {};
    action.sa_sigaction = [](int, siginfo_t*, void* context) {
      step(static_cast<ucontext_t*>(context));
    };
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
  }
  // From the next instruction on, of this thread.
  static void begin() {
    asm volatile(
        "lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
  }
  static void end() {
    asm volatile(
        "lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
  }

 private:
  static void step(ucontext_t* context) {
    if (--left_ > 0) return;
    context->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
    then_();
  }

  static inline int left_ = 0;
  static inline void (*then_)() = nullptr;
};

}  // namespace railyard::test

#endif
