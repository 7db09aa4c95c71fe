#include "platform/core_file.h"

#include <glob.h>

#include <fstream>

namespace railyard::harness {

namespace {

// See core(5); on a Mac kern.corefile is "/cores/core.%P".
std::string core_pattern() {
#ifdef __APPLE__
  return "/cores/core.%p";
#else
  std::string pattern, uses_pid;
  std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
  std::getline(std::ifstream("/proc/sys/kernel/core_uses_pid"), uses_pid);
  if (uses_pid == "1" && pattern.find("%p") == std::string::npos) pattern += ".%p";
  return pattern;
#endif
}

}  // namespace

std::string core_file(pid_t pid, const std::string& directory) {
  return core_file(core_pattern(), pid, directory);
}

std::string core_file(const std::string& pattern, pid_t pid, const std::string& directory) {
  std::string wanted;
  // One without the process's number may be anybody's.
  bool numbered =
      pattern.find("%p") != std::string::npos || pattern.find("%P") != std::string::npos;
  if (!numbered || pattern[0] == '|') return "";
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      wanted += pattern[i];
      continue;
    }
    char what = pattern[++i];
    wanted += what == 'p' || what == 'P' ? std::to_string(pid) : what == '%' ? "%" : "*";
  }
  if (wanted[0] != '/') wanted = directory + "/" + wanted;
  glob_t found{};
  std::string path;
  if (glob(wanted.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc > 0) path = found.gl_pathv[0];
  globfree(&found);
  return path;
}

}  // namespace railyard::harness
