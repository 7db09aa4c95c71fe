// Where this program and its companions lie.
#pragma once

#include <string>

namespace railyard::harness {

// The directory of the running executable.
std::string executable_directory();

// A worker beside the executable ("railyard-rank"), or "" when it is not there.
std::string find_worker(const std::string& name);

// What this system's programs load: "libibverbs.so.1" or "librdma.dylib".
const char* verbs_library_name();

// The directory of the simulator's verbs library, or "".
std::string library_directory();

// The directory of the pass-through library, or "".
std::string passthrough_directory();

// The library that stands in front of programs' C library, or "" where there is none.
std::string path_layer();

// A program as the shell would find it: a path with a slash as it is, others through PATH; "" when
// there is no such executable file.
std::string find_program(const std::string& name);

// "LD_LIBRARY_PATH" or what this system calls it, and its value with `directory` in front.
const char* loader_variable();
std::string loader_path(const std::string& directory);

}  // namespace railyard::harness
