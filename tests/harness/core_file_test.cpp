#include "platform/core_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace railyard::harness {
namespace {

namespace fs = std::filesystem;

class CoreFile : public testing::Test {
 protected:
  CoreFile() : folder_(fs::path(testing::TempDir()) / ("cores-" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~CoreFile() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string leave(const std::string& name) const {
    std::ofstream(path(name)) << "image";
    return path(name);
  }

  fs::path folder_;
};

TEST_F(CoreFile, IsFoundByItsProcess) {
  leave("core.4711");
  std::string mine = leave("core.4712");
  EXPECT_EQ(core_file("core.%p", 4712, folder_.string()), mine);
  EXPECT_EQ(core_file(path("core.%p"), 4712, "/nowhere"), mine);
}

TEST_F(CoreFile, WhatElseTheNameHoldsMayBeAnything) {
  std::string mine = leave("railyard-rank-11-4712-1763712000.core");
  EXPECT_EQ(core_file("%e-%s-%P-%t.core", 4712, folder_.string()), mine);
}

TEST_F(CoreFile, AnothersIsNotTaken) {
  leave("core");
  leave("core.4711");
  EXPECT_EQ(core_file("core", 4712, folder_.string()), "");     // may be anybody's
  EXPECT_EQ(core_file("core.%p", 4712, folder_.string()), "");  // there is none
  EXPECT_EQ(core_file("|/usr/lib/collector %p", 4712, folder_.string()), "");
}

}  // namespace
}  // namespace railyard::harness
