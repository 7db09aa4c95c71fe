#include "cluster/ip_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace railyard::harness {
namespace {

using ::testing::HasSubstr;

TEST(IpAddress, EndpointsAreReadAsTheyAreWritten) {
  for (std::string text : {"10.0.0.1:80", "[fd00::1]:80", "[::1]:65535", "127.0.0.1:1"}) {
    EXPECT_EQ(IpAddress::of_endpoint(text).endpoint(), text);
  }
}

TEST(IpAddress, WhatIsNoEndpointIsRefused) {
  for (std::string text : {"", ":", "80", "10.0.0.1", "10.0.0.1:", ":80", "10.0.0.1:0",
                           "10.0.0.1:65536", "10.0.0.1:8x", "10.0.0.1:-8", "fd00::1", "fd00::1:80",
                           "[fd00::1]", "[10.0.0.1]:80", "[]:80", "host:80"}) {
    try {
      ADD_FAILURE() << text << " was taken for " << IpAddress::of_endpoint(text).endpoint();
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("'" + text + "' is no ip:port"));
    }
  }
}

}  // namespace
}  // namespace railyard::harness
