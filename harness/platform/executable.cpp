#include "platform/executable.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

namespace railyard::harness {

namespace fs = std::filesystem;

std::string executable_directory() {
  std::error_code error;
#ifdef __APPLE__
  char path[4096];
  uint32_t size = sizeof path;
  if (_NSGetExecutablePath(path, &size) != 0) return "";
  return fs::canonical(path, error).parent_path();
#else
  return fs::read_symlink("/proc/self/exe", error).parent_path();
#endif
}

std::string find_worker(const std::string& name) {
  fs::path path = fs::path(executable_directory()) / name;
  return access(path.c_str(), X_OK) == 0 ? path.string() : "";
}

const char* verbs_library_name() {
#ifdef __APPLE__
  return "librdma.dylib";
#else
  return "libibverbs.so.1";
#endif
}

namespace {

// Where a verbs library lies beside this program: in the build, or installed.
std::string directory_of_library(const std::string& below) {
  fs::path here = executable_directory();
  std::error_code error;
  for (const char* place : {"../lib", "../lib/railyard"}) {
    fs::path directory = (here / place).lexically_normal();
    if (!below.empty()) directory /= below;
    if (fs::exists(directory / verbs_library_name(), error)) return directory;
  }
  return "";
}

}  // namespace

std::string library_directory() { return directory_of_library(""); }
std::string passthrough_directory() { return directory_of_library("passthrough"); }

std::string path_layer() {
  fs::path library = fs::path(library_directory()) / "librailyard-paths.so";
  std::error_code error;
  return fs::exists(library, error) ? library.string() : "";
}

std::string find_program(const std::string& name) {
  auto runs = [](const std::string& path) {
    std::error_code error;
    return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) return runs(name) ? name : "";
  const char* variable = std::getenv("PATH");
  std::istringstream path(variable ? variable : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(path, directory, ':');) {
    std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (runs(candidate)) return candidate;
  }
  return "";
}

const char* loader_variable() {
#ifdef __APPLE__
  return "DYLD_LIBRARY_PATH";
#else
  return "LD_LIBRARY_PATH";
#endif
}

std::string loader_path(const std::string& directory) {
  const char* before = std::getenv(loader_variable());
  return before && *before ? directory + ":" + before : directory;
}

}  // namespace railyard::harness
