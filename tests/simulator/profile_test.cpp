// Profiles: rules as data, overridden field by field, and the complaints about bad ones.
#include "fabric/profile.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

#include "expect_error.h"
#include "fabric/profile_loader.h"
#include "private_folder.h"
#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

Profile apple(const std::string& overrides = "") {
  return load_profile("apple-thunderbolt5", overrides);
}

TEST(ShippedProfiles, AreThreeAndLoad) {
  EXPECT_THAT(shipped_profiles(),
              testing::UnorderedElementsAre("apple-thunderbolt5", "connectx", "permissive"));
  for (const std::string& name : shipped_profiles()) {
    EXPECT_EQ(load_profile(name, "").name, name);
  }
}

// The numbers of Apple's technote TN3205, and what was reported of real Macs.
TEST(ShippedProfiles, AppleIsAsItsTechnoteSays) {
  Profile profile = apple();
  EXPECT_EQ(profile.transports, kUnreliable);
  EXPECT_FALSE(profile.one_sided);
  EXPECT_EQ(profile.queue_pairs.most, 10);
  EXPECT_EQ(profile.queue_pairs.error_number, EBUSY);
  EXPECT_EQ(profile.max_message_bytes, 16'773'120u);
  EXPECT_EQ(profile.max_requests, 4095);
  EXPECT_EQ(profile.depth_unit_bytes, 4096u);
  EXPECT_EQ(profile.frame_bytes, 4096u);
  EXPECT_EQ(profile.unreliable_no_receive, NoReceive::hold);
  EXPECT_EQ(profile.contexts.most, 1);
  EXPECT_EQ(profile.at_context_limit, AtLimit::block);
  EXPECT_EQ(profile.memory_regions.most, 100);
  EXPECT_EQ(profile.max_sge, 1);
  EXPECT_TRUE(profile.point_to_point);
  EXPECT_TRUE(profile.ipv4_gid);
  EXPECT_TRUE(profile.port_down_no_pd);
}

TEST(ShippedProfiles, ConnectXIsReliableAndOneSided) {
  Profile profile = load_profile("connectx", "");
  EXPECT_TRUE(profile.transports & kReliable);
  EXPECT_TRUE(profile.transports & kUnreliable);
  EXPECT_TRUE(profile.one_sided);
  EXPECT_FALSE(profile.point_to_point);
  EXPECT_EQ(profile.unreliable_no_receive, NoReceive::drop);
  EXPECT_EQ(profile.frame_bytes, 0u);
}

TEST(ProfileOverrides, ReplaceAValue) {
  EXPECT_EQ(apple(R"({"rules": {"queue_pairs": 3}})").queue_pairs.most, 3);
  EXPECT_EQ(apple(R"({"rules": {"no_receive": "drop"}})").unreliable_no_receive, NoReceive::drop);
  EXPECT_EQ(apple(R"({"device": {"prefix": "tb"}})").device_prefix, std::string("tb"));
}

TEST(ProfileOverrides, ReplaceAMemberOfARule) {
  Profile profile = apple(R"({"rules": {"queue_pairs": {"errno": "ENOSPC"}}})");
  EXPECT_EQ(profile.queue_pairs.most, 10);
  EXPECT_EQ(profile.queue_pairs.error_number, ENOSPC);
}

TEST(ProfileOverrides, LeaveTheRestAsItWas) {
  Profile profile = apple(R"({"rules": {"contexts": {"at_limit": "refuse"}}})");
  EXPECT_EQ(profile.at_context_limit, AtLimit::refuse);
  EXPECT_EQ(profile.contexts.most, 1);
  EXPECT_EQ(profile.max_message_bytes, 16'773'120u);
}

TEST(ProfileFile, IsReadByItsPath) {
  test::PrivateFolder folder;
  std::string path = folder.path() / "mine.json";
  std::ofstream(path) << profile_text("connectx");
  EXPECT_EQ(load_profile(path, "").name, std::string("connectx"));
}

// -------------------------------------------------------------------------------------------------

struct BadOverride {
  const char* name;
  const char* overrides;
  const char* message;
};

class BadOverrideTest : public testing::TestWithParam<BadOverride> {};

TEST_P(BadOverrideTest, IsRefusedWithThePlace) {
  EXPECT_ERROR(apple(GetParam().overrides), GetParam().message);
}

const BadOverride kBadOverrides[] = {
    {"NoJson", "{rules", "overrides of profile apple-thunderbolt5"},
    {"NoObject", "[1]", "an object is needed here"},
    {"AnUnknownSection", R"({"ruels": {}})", "ruels: no such field"},
    {"AnUnknownRule", R"({"rules": {"queue_pear": 3}})", "rules/queue_pear: no such field"},
    {"AnUnknownDeviceField", R"({"device": {"colour": "red"}})", "device/colour: no such field"},
    {"AnUnknownMember", R"({"rules": {"contexts": {"at_limt": "block"}}})",
     "rules/contexts/at_limt: no such field"},
    {"TextForANumber", R"({"rules": {"queue_pairs": "ten"}})", "rules/queue_pairs"},
    {"ANumberForText", R"({"rules": {"no_receive": 7}})", "rules/no_receive"},
    {"ANumberForABool", R"({"rules": {"one_sided": 1}})", "rules/one_sided"},
    {"AFraction", R"({"rules": {"max_sge": 1.5}})", "rules/max_sge: a whole number is needed here"},
    {"ANegativeNumber", R"({"rules": {"max_sge": -1}})",
     "rules/max_sge: a whole number is needed here"},
    {"ANumberTooLarge", R"({"rules": {"max_sge": 5000000000}})", "rules/max_sge"},
    {"AnUnknownChoice", R"({"rules": {"no_receive": "lose"}})",
     "rules/no_receive: 'lose' is none of drop, fail, hold"},
    {"AnUnknownTransport", R"({"rules": {"transports": ["UC", "TCP"]}})",
     "rules/transports: 'TCP' is none of"},
    {"AnUnknownErrno", R"({"rules": {"queue_pairs": {"errno": "EWHAT"}}})",
     "rules/queue_pairs: 'EWHAT' is none of"},
    {"ANumberAsErrno", R"({"rules": {"queue_pairs": {"errno": 16}}})", "rules/queue_pairs"},
    {"AnUnknownAnswerAtTheLimit", R"({"rules": {"contexts": {"at_limit": "explode"}}})",
     "rules/contexts/at_limit: 'explode' is none of block, refuse"},
    {"AnUnknownAnswerToARegionTooLong", R"({"rules": {"max_region_bytes": {"at_limit": "block"}}})",
     "rules/max_region_bytes/at_limit: 'block' is none of corrupt, refuse"},
    {"ANegativeLatency", R"({"link": {"latency_ns": -1}})",
     "link/latency_ns: a number that is not negative is needed here"},
    {"TextForALoss", R"({"link": {"loss": "much"}})", "link/loss"},
    {"ALossThatIsNoChance", R"({"link": {"loss": 1.5}})", "link/loss: 1.5 is more than 1"},
    {"AnUnknownLinkField", R"({"link": {"colour": 1}})", "link/colour: no such field"},
    {"ARemovedRule", R"({"rules": {"queue_pairs": null}})", "rules/queue_pairs: is missing"},
    {"ARemovedSection", R"({"rules": null})", "rules: is missing"},
    {"AnMtuThatIsNone", R"({"device": {"mtu": 1500}})", "device/mtu: must be 256"},
    {"APrefixTooLong", R"({"device": {"prefix": "a_very_long_device_"}})",
     "device/prefix: is longer than 15 characters"},
};

INSTANTIATE_TEST_SUITE_P(Profile, BadOverrideTest, testing::ValuesIn(kBadOverrides),
                         [](const auto& bad) { return bad.param.name; });

TEST(ProfileFile, ThatIsNotThereIsNamedBesideThoseThatAre) {
  EXPECT_ERROR(load_profile("nowhere.json", ""), "profile 'nowhere.json' is neither a file nor");
  EXPECT_ERROR(load_profile("nowhere.json", ""), "apple-thunderbolt5");
}

}  // namespace
}  // namespace railyard::fabric
