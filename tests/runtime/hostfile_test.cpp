#include <gtest/gtest.h>

#include "railyard/config.h"
#include "railyard/error.h"

namespace railyard {
namespace {

std::string error_of(const std::string& text) {
  try {
    load_hostfile(text);
    return "no error";
  } catch (const ConfigurationError& error) {
    return error.what();
  }
}

TEST(Hostfile, ObjectWithDevices) {
  Hostfile file = load_hostfile(R"({"backend": "jaccl", "hosts": [
      {"ssh": "m3-ultra-1", "ips": ["192.168.1.1"], "rdma": [null, "rdma_en5"]},
      {"ssh": "m3-ultra-2", "ips": [], "rdma": [["rdma_en4"], null]}]})");
  EXPECT_EQ(file.backend, "jaccl");
  ASSERT_EQ(file.hosts.size(), 2u);
  EXPECT_EQ(file.hosts[0].ssh, "m3-ultra-1");
  EXPECT_EQ(file.hosts[0].ips, std::vector<std::string>{"192.168.1.1"});
  EXPECT_TRUE(file.has_devices());
  EXPECT_EQ(file.devices(), (DeviceMatrix{{{}, {"rdma_en5"}}, {{"rdma_en4"}, {}}}));
}

TEST(Hostfile, PlainArray) {
  Hostfile file = load_hostfile(
      R"([{"ssh": "a", "ips": ["10.0.0.1", "fe80::1"]}, {"ssh": "b", "ips": ["10.0.0.2"]}])");
  EXPECT_EQ(file.backend, "");
  EXPECT_EQ(file.hosts.size(), 2u);
  EXPECT_FALSE(file.has_devices());
}

TEST(Hostfile, Problems) {
  for (auto [text, problem] : std::initializer_list<std::pair<const char*, const char*>>{
           {"{}",
            "hostfile: has no \"hosts\"; write an array of hosts, each with \"ssh\" and \"ips\""},
           {R"({"hosts": 3})",
            "hostfile: hosts: holds a number; write an array of hosts, each with \"ssh\" and "
            "\"ips\""},
           {"[]", "hostfile: hosts: is empty; name at least one host"},
           {"[5]",
            "hostfile: hosts[0]: holds a number; a host is an object with \"ssh\" and \"ips\""},
           {R"([{"ips": []}])",
            "hostfile: hosts[0]: has no \"ssh\"; write how ssh reaches this host"},
           {R"([{"ssh": ""}])",
            "hostfile: hosts[0].ssh: is not a host name; write how ssh reaches this host"},
           {R"([{"ssh": "a", "ips": "10.0.0.1"}])",
            "hostfile: hosts[0].ips: holds a string; write an array of addresses"},
           {R"([{"ssh": "a", "ips": ["10.0.0"]}])",
            "hostfile: hosts[0].ips[0]: '10.0.0' is not an IP address"},
           {R"({"backend": 1, "hosts": [{"ssh": "a"}]})",
            "hostfile: backend: holds a number; write a name such as \"jaccl\""},
           {R"([{"ssh": "a", "rdma": [null, 7]}])",
            "hostfile: hosts[0].rdma[1]: holds a number; a cell is null, a device name or an array "
            "of "
            "names"},
           {R"([{"ssh": "a", "rdma": [null, "x"]}, {"ssh": "b"}])",
            "hostfile: hosts[1]: has no \"rdma\" but other hosts have; give every host its row of "
            "devices"},
           {R"([{"ssh": "a", "rdma": [null, "x"]}])",
            "hostfile: row 0: has 2 cells in a matrix of 1 rows; a device matrix is square"}}) {
    EXPECT_EQ(error_of(text), problem);
  }
}

}  // namespace
}  // namespace railyard
