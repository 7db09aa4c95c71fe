#include "scenario/profile_rules.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace railyard::harness {
namespace {

ProfileRules rules_of(const std::string& json) {
  std::string file = ::testing::TempDir() + "profile-rules-" + std::to_string(getpid()) + ".json";
  std::ofstream(file) << json;
  ProfileRules rules(file);
  std::filesystem::remove(file);
  return rules;
}

TEST(ProfileRules, EachRuleIsReadAsWhatItIs) {
  ProfileRules rules = rules_of(R"({"device": {"prefix": "yard"}, "rules": {
      "queue_pairs": {"is": 7, "errno": "EBUSY", "source": "a page"},
      "contexts": {"is": 0},
      "transports": {"is": ["RC", "UC"]},
      "topology": {"is": "switched"},
      "atomics": {"is": true}}})");
  EXPECT_EQ(rules.device_prefix(), "yard");
  EXPECT_EQ(rules.limit("queue_pairs"), 7u);
  EXPECT_EQ(rules.find("queue_pairs")->says, "7, errno EBUSY");
  EXPECT_EQ(rules.find("queue_pairs")->source, "a page");
  EXPECT_EQ(rules.limit("contexts"), 0u);
  EXPECT_TRUE(rules.names("transports", "UC"));
  EXPECT_FALSE(rules.names("transports", "UD"));
  EXPECT_EQ(rules.find("transports")->says, R"(["RC","UC"])");
  EXPECT_TRUE(rules.names("topology", "switched"));
  EXPECT_EQ(rules.find("atomics")->says, "true");
}

TEST(ProfileRules, WhatTheProfileDoesNotSayIsTold) {
  ProfileRules rules = rules_of(R"({"device": {"prefix": ""}, "rules": {}})");
  EXPECT_EQ(rules.find("queue_pairs"), nullptr);
  EXPECT_EQ(rules.limit("queue_pairs"), 0u);
  EXPECT_FALSE(rules.names("topology", "switched"));
}

}  // namespace
}  // namespace railyard::harness
