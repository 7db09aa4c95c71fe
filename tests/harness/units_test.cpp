#include "scenario/units.h"

#include <gtest/gtest.h>

namespace railyard::harness {
namespace {

using std::chrono::nanoseconds;

std::string complaint(const std::string& text) {
  try {
    parse_duration(text);
  } catch (const UnitError& error) {
    return error.what();
  }
  return "none";
}

TEST(Units, Durations) {
  EXPECT_EQ(parse_duration("7ms"), nanoseconds(7'000'000));
  EXPECT_EQ(parse_duration("1.5s"), nanoseconds(1'500'000'000));
  EXPECT_EQ(parse_duration("0ns"), nanoseconds(0));
  EXPECT_EQ(parse_duration("20 us"), nanoseconds(20'000));
  EXPECT_EQ(parse_duration("2min"), nanoseconds(120'000'000'000));
}

TEST(Units, BytesAndRates) {
  EXPECT_EQ(parse_bytes("64KiB"), 65536u);
  EXPECT_EQ(parse_bytes("4096B"), 4096u);
  EXPECT_EQ(parse_bytes("1.5MB"), 1'500'000u);
  EXPECT_DOUBLE_EQ(parse_rate("8.9GB/s"), 8.9e9);
  EXPECT_DOUBLE_EQ(parse_rate("40Gbit/s"), 5e9);
  EXPECT_THROW(parse_bytes("1.5B"), UnitError);
}

TEST(Units, MissingUnitSaysSo) {
  EXPECT_EQ(complaint("7"), "\"7\" has no unit; write it as \"20ms\" (ns, us, ms, s, min)");
}

TEST(Units, UnknownUnitNamesTheKnown) {
  EXPECT_EQ(complaint("7msec"),
            "\"7msec\" has the unknown unit 'msec'; use one of ns, us, ms, s, min");
}

TEST(Units, NoNumber) {
  for (const char* text : {"", "ms", "-7ms", ".5s", "seven ms", "nan", "inf"}) {
    EXPECT_EQ(complaint(text),
              std::string("\"") + text + "\" is not a duration; write it as \"20ms\"");
  }
}

TEST(Units, TooLong) { EXPECT_NE(complaint("99999999999999s"), "none"); }

TEST(Units, ForPeople) {
  EXPECT_EQ(format_ns(999), "999 ns");
  EXPECT_EQ(format_ns(41'230'000), "41.2 ms");
  EXPECT_EQ(format_ns(1'500'000'000), "1.50 s");
}

}  // namespace
}  // namespace railyard::harness
