// Which paths of the system are simulated, and where they lead.
#pragma once

#include <climits>
#include <cstring>

namespace railyard::preload {

// A path as a program asked for it, and where it leads: nearly always to itself.
class Path {
 public:
  explicit Path(const char* asked) : leads_to_(asked) {
    if (asked && asked[0] == '/' && (asked[1] == 's' || asked[1] == 'd')) look(asked);
  }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;

  const char* c_str() const { return leads_to_; }
  operator const char*() const { return leads_to_; }

  // A character device: its minor number is that of an uverbs device, or it is the connection
  // manager.
  bool is_device() const { return kind_ != Kind::file; }
  bool is_connection_manager() const { return kind_ == Kind::connection_manager; }
  unsigned major_number() const;
  unsigned minor_number() const;

 private:
  enum class Kind { file, uverbs, connection_manager };
  void look(const char* asked);

  const char* leads_to_;
  Kind kind_ = Kind::file;
  unsigned number_ = 0;
  char buffer_[PATH_MAX];  // untouched unless redirected
};

}  // namespace railyard::preload
