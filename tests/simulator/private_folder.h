// A run-file folder of the test's own, so that sweeping meets nobody else's fabrics.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace railyard::test {

class PrivateFolder {
 public:
  PrivateFolder() {
    const char* before = getenv("TMPDIR");
    had_ = before != nullptr;
    if (before) before_ = before;
    std::string pattern = std::filesystem::temp_directory_path() / "railyard-test-XXXXXX";
    path_ = mkdtemp(pattern.data());
    setenv("TMPDIR", path_.c_str(), 1);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  ~PrivateFolder() {
    if (had_) {
      setenv("TMPDIR", before_.c_str(), 1);
    } else {
      unsetenv("TMPDIR");
    }
    std::filesystem::remove_all(path_);
  }

  const std::filesystem::path& path() const { return path_; }

  // Files in it, at any depth.
  int files() const {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

 private:
  std::filesystem::path path_;
  std::string before_;
  bool had_ = false;
};

}  // namespace railyard::test
