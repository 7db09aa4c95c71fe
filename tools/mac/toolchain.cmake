# Cross-compiles for macOS on Apple silicon from another system, with the clang, the libc++ and the
# headers that zig carries. Nothing of the host may be found; MAC_PREFIX has what the build needs.
# ZIG_CC, ZIG_CXX and MAC_PREFIX come from the environment: see tools/check-mac.sh.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(CMAKE_SYSTEM_VERSION 23.0.0)  # macOS 14

set(CMAKE_C_COMPILER $ENV{ZIG_CC})
set(CMAKE_CXX_COMPILER $ENV{ZIG_CXX})
set(CMAKE_ASM_COMPILER $ENV{ZIG_CC})
# zig turns on traps for undefined behaviour in unoptimised builds; a Mac's clang does not. -g0: the
# result is looked at, not debugged.
set(CMAKE_C_FLAGS_INIT "-fno-sanitize=undefined -g0")
set(CMAKE_CXX_FLAGS_INIT "-fno-sanitize=undefined -g0")
find_program(CMAKE_INSTALL_NAME_TOOL
  NAMES llvm-install-name-tool llvm-install-name-tool-14 llvm-install-name-tool-19)

set(CMAKE_FIND_ROOT_PATH $ENV{MAC_PREFIX})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Read after CMake's own rules for Darwin, which a toolchain file cannot overrule.
set(CMAKE_USER_MAKE_RULES_OVERRIDE ${CMAKE_CURRENT_LIST_DIR}/rules.cmake)
