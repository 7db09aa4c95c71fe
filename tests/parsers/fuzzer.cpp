// For libFuzzer: the first byte says which parser, the rest is the text.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace railyard::fuzz;
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string wrong = answer(static_cast<Input>(data[0] % kInputs), text);
  if (wrong.empty()) return 0;
  std::fprintf(stderr, "%s\n", wrong.c_str());
  std::abort();
}
