#include "platform/proc_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace railyard::harness::proc {

std::string slurp(const std::string& path) {
  std::string text;
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return text;
  char buffer[4096];
  for (ssize_t size; (size = read(descriptor, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(size));
  }
  close(descriptor);
  return text;
}

std::vector<std::string> entries(const std::string& directory) {
  std::vector<std::string> names;
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return names;
  while (dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(dir);
  return names;
}

std::string target(const std::string& link) {
  char text[256];
  ssize_t size = readlink(link.c_str(), text, sizeof text);
  return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
}

}  // namespace railyard::harness::proc
