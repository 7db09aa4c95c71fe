#include "railyard/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "railyard/error.h"
#include "ranks.h"

namespace railyard {
namespace {

using test::TemporaryFile;

// The one line that comes of reading this matrix.
std::string error_of(const std::string& text) {
  try {
    load_device_matrix(text);
    return "no error";
  } catch (const ConfigurationError& error) {
    EXPECT_EQ(error.code(), ErrorCode::configuration);
    return error.what();
  }
}

TEST(DeviceMatrix, CellsAreNullAStringOrAnArray) {
  DeviceMatrix matrix = load_device_matrix(R"([[null, "rdma_en2", ["rdma_en3", "rdma_en4"]],
                                               ["rdma_en5", null, []],
                                               [["rdma_en2", "rdma_en3"], null, null]])");
  EXPECT_EQ(matrix, (DeviceMatrix{{{}, {"rdma_en2"}, {"rdma_en3", "rdma_en4"}},
                                  {{"rdma_en5"}, {}, {}},
                                  {{"rdma_en2", "rdma_en3"}, {}, {}}}));
}

TEST(DeviceMatrix, ComesFromAFile) {
  TemporaryFile file(R"([[null, "a"], ["b", null]])");
  EXPECT_EQ(load_device_matrix(file.path()), (DeviceMatrix{{{}, {"a"}}, {{"b"}, {}}}));
}

TEST(DeviceMatrix, MissingFile) {
  EXPECT_EQ(error_of("/nowhere/devices.json"),
            "/nowhere/devices.json: cannot be read: No such file or directory; check the path");
}

TEST(DeviceMatrix, EmptyFile) {
  TemporaryFile file(" \n");
  EXPECT_EQ(error_of(file.path()), file.path() + ": is empty; write a device matrix into it");
}

TEST(DeviceMatrix, NotJson) {
  TemporaryFile file("[[null, \"a\"],\n [\"b\" null]]");
  EXPECT_EQ(error_of(file.path()),
            file.path() +
                ": line 2, column 10: is not JSON from here on; look for a missing bracket, "
                "quote or comma");
}

TEST(DeviceMatrix, NumberThatIsTooLarge) {
  TemporaryFile file("[[1e999]]");
  EXPECT_EQ(error_of(file.path()),
            file.path() + ": has a number that is larger than any may be; write a smaller one");
}

TEST(DeviceMatrix, NotAnArray) {
  TemporaryFile file("7");
  EXPECT_EQ(
      error_of(file.path()),
      file.path() + ": holds a number; a device matrix is an array with one array for each rank");
}

TEST(DeviceMatrix, HostfileInItsPlace) {
  EXPECT_EQ(
      error_of(R"({"hosts": []})"),
      "device matrix: is a hostfile; a device matrix is an array with one array for each rank");
}

TEST(DeviceMatrix, NoRows) {
  EXPECT_EQ(error_of("[]"),
            "device matrix: has no rows; write one row and one column for each rank");
}

TEST(DeviceMatrix, RowIsNoArray) {
  EXPECT_EQ(
      error_of(R"([[null], "rdma_en2"])"),
      "device matrix: row 1: holds a string; each row is an array with one cell for each rank");
}

// mlx#4283: a matrix of one row is no group of one.
TEST(DeviceMatrix, NotSquare) {
  EXPECT_EQ(error_of(R"([[null, "rdma_en2"]])"),
            "device matrix: row 0: has 2 cells in a matrix of 1 rows; a device matrix is square");
}

TEST(DeviceMatrix, WrongCellType) {
  EXPECT_EQ(
      error_of(R"([[null, "a"], [5, null]])"),
      "device matrix: row 1, column 0: holds a number; a cell is null, a device name or an array "
      "of names");
}

TEST(DeviceMatrix, WrongElementType) {
  EXPECT_EQ(
      error_of(R"([[null, "a"], [[null], null]])"),
      "device matrix: row 1, column 0: holds null; a cell is null, a device name or an array of "
      "names");
}

TEST(DeviceMatrix, EmptyName) {
  EXPECT_EQ(
      error_of(R"([[null, ""], ["b", null]])"),
      "device matrix: row 0, column 1: holds an empty name; write null where there is no device");
}

TEST(DeviceMatrix, SameRailTwice) {
  EXPECT_EQ(error_of(R"([[null, ["a", "a"]], [["b", "c"], null]])"),
            "device matrix: row 0, column 1: names a twice; each rail is a device of its own");
}

TEST(DeviceMatrix, DeviceOnTheDiagonal) {
  EXPECT_EQ(
      error_of(R"([[null, "a"], ["b", "c"]])"),
      "device matrix: row 1, column 1: names c, but a rank has no device to itself; write null on "
      "the diagonal");
}

TEST(DeviceMatrix, UnequalRails) {
  EXPECT_EQ(
      error_of(R"([[null, ["a", "b"]], ["c", null]])"),
      "device matrix: row 0, column 1: has 2 rails, but row 1, column 0 has 1; list both ends of "
      "every cable");
}

Config config_of(const std::string& matrix, int rank = 0) {
  Config config;
  config.rank = rank;
  config.coordinator = "127.0.0.1:5000";
  config.devices = load_device_matrix(matrix);
  return config;
}

std::string check_error(const Config& config) {
  try {
    config.check();
    return "no error";
  } catch (const ConfigurationError& error) {
    return error.what();
  }
}

const char* const kMesh = R"([[null,"a","b"],["c",null,"d"],["e","f",null]])";
const char* const kChain = R"([[null,"a",null],["c",null,"d"],[null,"f",null]])";
const char* const kFourInARing =
    R"([[null,"a",null,"b"],["a",null,"b",null],[null,"a",null,"b"],["a",null,"b",null]])";

TEST(Config, ChoosesAMeshUnlessARingIsPreferred) {
  Config config = config_of(kMesh);
  EXPECT_EQ(config.choose_backend(), Backend::mesh);
  config.prefer_ring = true;
  EXPECT_EQ(config.choose_backend(), Backend::ring);
}

TEST(Config, ChoosesARingWhereThereIsNoMesh) {
  std::string why;
  EXPECT_EQ(config_of(kFourInARing).choose_backend(&why), Backend::ring);
  EXPECT_EQ(why, "there is a ring, but a mesh needs a device at row 0, column 2");
}

TEST(Config, NeverReplacesABackendThatWasAskedFor) {
  Config config = config_of(kFourInARing);
  config.backend = Backend::mesh;
  EXPECT_EQ(check_error(config),
            "devices: a mesh needs a device at row 0, column 2; add it or use a ring");
  config = config_of(kChain);
  config.backend = Backend::ring;
  EXPECT_EQ(check_error(config),
            "devices: a ring needs a device at row 2, column 0; add it or use a mesh");
}

TEST(Config, NeitherMeshNorRing) {
  std::string why;
  EXPECT_EQ(config_of(kChain).choose_backend(&why), Backend::tcp);
  EXPECT_EQ(why,
            "the devices make neither mesh nor ring: a mesh needs a device at row 0, column 2, and "
            "a ring needs a device at row 2, column 0");
}

TEST(Config, WithoutDevices) {
  Config config = config_of(kChain);
  config.devices.clear();
  EXPECT_EQ(check_error(config),
            "devices: are missing; give a device matrix, or the number of ranks for a group over "
            "TCP");
  config.ranks = 3;
  std::string why;
  EXPECT_EQ(config.choose_backend(&why), Backend::tcp);
  EXPECT_EQ(why, "there is no device matrix");
  config.prefer_ring = true;
  EXPECT_EQ(config.choose_backend(), Backend::tcp_ring);
  config.backend = Backend::mesh;
  EXPECT_EQ(check_error(config), "devices: there is no device matrix; add it or use a ring");
  config.backend = Backend::local;
  EXPECT_EQ(check_error(config), "devices: are of 3 ranks, a local group has one");
}

TEST(Config, TcpThatWasAskedForGoesBeforeDevices) {
  Config config = config_of(kMesh);
  for (Backend backend : {Backend::tcp, Backend::tcp_ring}) {
    config.backend = backend;
    EXPECT_EQ(config.choose_backend(), backend);
  }
}

TEST(Config, RingNeedsEqualRails) {
  Config config = config_of(R"([[null,["a","b"],"c"],[["a","b"],null,"c"],["a","b",null]])");
  EXPECT_FALSE(config.is_valid_ring());
  EXPECT_TRUE(config.is_valid_mesh());
}

TEST(Config, RankOutside) {
  EXPECT_EQ(check_error(config_of(kMesh, 3)),
            "rank: 3 is outside of the device matrix; with 3 rows it is from 0 to 2");
  EXPECT_EQ(check_error(config_of(kMesh, -1)),
            "rank: -1 is outside of the device matrix; with 3 rows it is from 0 to 2");
}

TEST(Config, Coordinator) {
  Config config = config_of(kMesh);
  const std::string mend = "; write ip:port of rank 0, for instance 192.168.1.1:5000";
  for (auto [text, problem] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "has no port"},
           {"127.0.0.1", "has no port"},
           {"host:80", "has no IP address"},
           {":80", "has no IP address"},
           {"127.0.0.1:", "has a port that is not a number from 1 to 65535"},
           {"127.0.0.1:0", "has a port that is not a number from 1 to 65535"},
           {"127.0.0.1:70000", "has a port that is not a number from 1 to 65535"},
           {"127.0.0.1:80x", "has a port that is not a number from 1 to 65535"}}) {
    config.coordinator = text;
    EXPECT_EQ(check_error(config), std::string("coordinator: '") + text + "' " + problem + mend);
  }
  config.coordinator = "[::1]:5000";
  EXPECT_EQ(check_error(config), "no error");
}

}  // namespace
}  // namespace railyard
