// What nn says of input that does not fit.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "railyard/error.h"

namespace railyard::test {

// The text of the error that `work` throws, which must be of the caller's making.
template <typename Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::configuration) << error.what();
    EXPECT_FALSE(error.operation.empty()) << error.what();
    return error.what();
  }
  return "none";
}

}  // namespace railyard::test
