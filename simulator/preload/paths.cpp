#include "paths.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "system_tree.h"

namespace railyard::preload {

namespace {

// Where the tree of this run and node is, written when somebody first looks; "" without one.
const std::string& tree() {
  static const std::string place = []() -> std::string {
    const char* named = getenv("RAILYARD_SYSFS");
    if (!named || !*named || !home()) return "";
    int before = errno;
    std::string ours = std::string(named) + "." + std::to_string(home()->node);
    bool written = write_system_tree(*home(), ours);
    if (!written) fprintf(stderr, "railyard: cannot write %s: %s\n", ours.c_str(), strerror(errno));
    errno = before;
    return written ? ours : "";
  }();
  return place;
}

bool starts_with(const char* text, const char* beginning, size_t length) {
  return strncmp(text, beginning, length) == 0;
}

// The rest of `path` after `beginning`, if that is where a component begins to differ; else
// nullptr.
template <size_t N>
const char* after(const char* path, const char (&beginning)[N]) {
  return starts_with(path, beginning, N - 1) ? path + N - 1 : nullptr;
}

bool ends_component(const char* rest) { return *rest == 0 || *rest == '/'; }

}  // namespace

unsigned Path::major_number() const { return kind_ == Kind::uverbs ? kUverbsMajor : kRdmaCmMajor; }
unsigned Path::minor_number() const {
  return kind_ == Kind::uverbs ? kUverbsFirstMinor + number_ : kRdmaCmMinor;
}

void Path::look(const char* asked) {
  const char* rest = nullptr;
  const char* inside = nullptr;  // the path in the tree
  if ((rest = after(asked, "/dev/infiniband")) && ends_component(rest)) {
    inside = asked;
  } else if (const char* name = after(asked, "/sys/class/")) {
    if ((rest = after(name, "infiniband"))) {
      for (const char* suffix : {"_verbs", "_mad"}) {
        if (starts_with(rest, suffix, strlen(suffix))) {
          rest += strlen(suffix);
          break;
        }
      }
    } else {
      rest = after(name, "misc/rdma_cm");
    }
    if (rest && ends_component(rest)) inside = asked + strlen("/sys");
  }
  if (!inside || !home()) return;

  if (const char* device = after(asked, "/dev/infiniband/")) {
    if (strcmp(device, "rdma_cm") == 0) {
      kind_ = Kind::connection_manager;
      return;
    }
    if (const char* number = after(device, "uverbs"); number && *number) {
      char* end = nullptr;
      unsigned long value = strtoul(number, &end, 10);
      if (*end == 0 && value < home()->record().device_count) {
        kind_ = Kind::uverbs;
        number_ = static_cast<unsigned>(value);
        return;
      }
    }
  }
  if (tree().empty()) return;
  int length = snprintf(buffer_, sizeof buffer_, "%s%s", tree().c_str(), inside);
  if (length > 0 && static_cast<size_t>(length) < sizeof buffer_) leads_to_ = buffer_;
}

}  // namespace railyard::preload
