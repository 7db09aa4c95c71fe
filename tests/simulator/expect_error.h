// EXPECT_ERROR(statement, text): the statement throws fabric::Error, whose message has the text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "railyard/fabric.h"

#define EXPECT_ERROR(statement, text) \
  EXPECT_THAT([&] { statement; },     \
              testing::ThrowsMessage<railyard::fabric::Error>(testing::HasSubstr(text)))
