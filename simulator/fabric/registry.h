// Which segments exist and whose they are: one locked file a segment, in a folder of the user's.
#pragma once

#include <string>

namespace railyard::fabric {

// The right to a segment's name. While this object lives the file is locked; the lock goes with the
// process however it ends, which is how sweep() knows orphans.
class Registration {
 public:
  // A new name. Throws Error when the folder cannot be used.
  static Registration create();

  Registration(Registration&& other) noexcept;
  Registration& operator=(Registration&& other) noexcept;
  ~Registration();  // forgets the name and removes the segment

  const std::string& segment_name() const { return name_; }

 private:
  Registration(std::string name, std::string path, int fd)
      : name_(std::move(name)), path_(std::move(path)), fd_(fd) {}

  std::string name_;
  std::string path_;
  int fd_ = -1;
};

}  // namespace railyard::fabric
