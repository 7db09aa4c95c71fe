// The texts have the form that Apple's commands are publicly known to print (mac_ports.h says from
// where); no Mac was asked.
#include "hardware/mac_ports.h"

#include <gmock/gmock.h>

namespace railyard::harness {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr char kPorts[] = R"(
Hardware Port: Ethernet
Device: en0
Ethernet Address: 1c:f6:4c:00:00:01

Hardware Port: Thunderbolt 1
Device: en2
Ethernet Address: 36:de:3f:00:00:01

Hardware Port: Thunderbolt 2
Device: en3
Ethernet Address: 36:de:3f:00:00:02

Hardware Port: Thunderbolt Bridge
Device: bridge0
Ethernet Address: 36:de:3f:00:00:01

VLAN Configurations
===================
)";

constexpr char kProfile[] = R"({
  "SPThunderboltDataType": [
    {"_name": "thunderboltusb4_bus_0", "device_name_key": "Mac Studio", "vendor_name_key": "Apple Inc.",
     "domain_uuid_key": "AAAA-1",
     "receptacle_1_tag": {"current_speed_key": "Up to 80 Gb/s", "link_status_key": "0x2",
                          "receptacle_id_key": "1", "receptacle_status_key": "receptacle_connected"},
     "_items": [{"_name": "Thunderbolt Display", "device_name_key": "Studio Display"},
                {"_name": "Mac mini", "device_name_key": "Mac mini", "domain_uuid_key": "BBBB-2"}]},
    {"_name": "thunderboltusb4_bus_1", "device_name_key": "Mac Studio", "domain_uuid_key": "AAAA-2",
     "receptacle_1_tag": {"current_speed_key": "Up to 80 Gb/s", "receptacle_id_key": "2",
                          "receptacle_status_key": "receptacle_no_devices_connected"}},
    {"_name": "thunderboltusb4_bus_9", "domain_uuid_key": "AAAA-9",
     "receptacle_1_tag": {"receptacle_id_key": "9"}}
  ]
})";

TEST(MacPorts, HardwarePortsHaveDevices) {
  EXPECT_THAT(
      hardware_ports(kPorts),
      UnorderedElementsAre(Pair("Ethernet", "en0"), Pair("Thunderbolt 1", "en2"),
                           Pair("Thunderbolt 2", "en3"), Pair("Thunderbolt Bridge", "bridge0")));
}

TEST(MacPorts, AReceptacleIsTheInterfaceOfItsNumber) {
  auto ports = thunderbolt_ports(kProfile, hardware_ports(kPorts));
  ASSERT_THAT(ports, SizeIs(2)) << "nothing carries the ninth";
  EXPECT_EQ(ports[0].interface, "en2");
  EXPECT_EQ(ports[0].receptacle, "1");
  EXPECT_EQ(ports[0].speed, "Up to 80 Gb/s");
  EXPECT_EQ(ports[1].interface, "en3");
}

TEST(MacPorts, TheOtherEndIsThatOfTheItemWithADomain) {
  auto ports = thunderbolt_ports(kProfile, hardware_ports(kPorts));
  ASSERT_THAT(ports, SizeIs(2));
  EXPECT_EQ(ports[0].domain, "AAAA-1");
  EXPECT_EQ(ports[0].peer_domain, "BBBB-2") << "a display has none";
  EXPECT_EQ(ports[0].peer_name, "Mac mini");
  EXPECT_EQ(ports[1].peer_domain, "") << "nothing is plugged in";
}

TEST(MacPorts, WhatCannotBeReadIsLeftOut) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"SPThunderboltDataType": 7})",
        R"({"SPThunderboltDataType": [7, {"receptacle_1_tag": 7}, {"_items": 7}]})"}) {
    EXPECT_THAT(thunderbolt_ports(text, hardware_ports(kPorts)), IsEmpty()) << text;
  }
  EXPECT_THAT(hardware_ports("Device: en2\n"), IsEmpty());
}

TEST(MacPorts, TheBridgeHasMembers) {
  EXPECT_THAT(bridge_members("bridge0: flags=8863<UP> mtu 1500\n"
                             "\tConfiguration:\n"
                             "\tmember: en2 flags=3<LEARNING,DISCOVER>\n"
                             "\t        ifmaxaddr 0 port 7 priority 0 path cost 0\n"
                             "\tmember: en3 flags=3<LEARNING,DISCOVER>\n"),
              ElementsAre("en2", "en3"));
  EXPECT_THAT(bridge_members("ifconfig: interface bridge0 does not exist\n"), IsEmpty());
}

}  // namespace
}  // namespace railyard::harness
