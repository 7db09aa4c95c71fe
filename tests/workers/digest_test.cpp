#include "railyard-rank/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace railyard::rank {
namespace {

std::string digest_of(const std::string& text) {
  Digest digest;
  digest.add(text.data(), text.size());
  return digest.text();
}

TEST(Digest, NothingHasNone) { EXPECT_EQ(Digest().text(), ""); }

TEST(Digest, SixteenHexDigits) {
  const std::string digest = digest_of("railyard");
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(digest.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(Digest, EqualForEqualData) {
  EXPECT_EQ(digest_of("a longer text"), digest_of("a longer text"));
}

TEST(Digest, EveryBitAndTheLengthCount) {
  EXPECT_NE(digest_of("12345678"), digest_of("12345679"));
  EXPECT_NE(digest_of("123456789"), digest_of("123456788"));
  EXPECT_NE(digest_of("ab"), digest_of(std::string("ab\0", 3)));
  EXPECT_NE(digest_of(""), digest_of(std::string(1, '\0')));
}

TEST(Digest, OrderCounts) {
  Digest forth, back;
  forth.add("a", 1);
  forth.add("b", 1);
  back.add("b", 1);
  back.add("a", 1);
  EXPECT_NE(forth.text(), back.text());
}

}  // namespace
}  // namespace railyard::rank
