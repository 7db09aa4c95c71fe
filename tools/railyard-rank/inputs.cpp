#include "railyard-rank/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace railyard::rank {
namespace {

constexpr int64_t kLargestWhole = 1 << 20;  // enough to tell elements apart
constexpr uint64_t kBytesOperation = 1;     // keeps bytes and elements of one draw apart
constexpr uint64_t kNumberOperation = 2;    // and numbers from both
constexpr int kNoRank = -1;

// The finaliser of MurmurHash3 (public domain).
constexpr uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdu;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53u;
  return x ^ x >> 33;
}

uint64_t key_of(const Draw& draw, int rank, uint64_t purpose = 0) {
  uint64_t key = mix(draw.seed + 0x9e3779b97f4a7c15u);
  key = mix(key ^ static_cast<uint64_t>(rank));
  key = mix(key ^ (uint64_t{draw.operation} << 32 | draw.iteration));
  return key + purpose;
}

constexpr uint64_t random_at(uint64_t key, uint64_t index) {
  return mix(key + index * 0x9e3779b97f4a7c15u);
}

// Whole numbers of a codec, sized so that the sum over all ranks stays exact.
template <typename Codec>
class WholeNumbers {
 public:
  WholeNumbers(const Draw& draw, int rank) : key_(key_of(draw, rank)) {
    const int64_t largest = std::clamp<int64_t>(Codec::exact / draw.ranks, 1, kLargestWhole);
    if constexpr (std::is_same_v<Codec, BoolCodec>) {
      // Rarely true, or the sum of many would always be.
      range_ = static_cast<uint64_t>(draw.ranks) + 1;
      lowest_ = 1 - static_cast<int64_t>(range_);
    } else {
      range_ = static_cast<uint64_t>(Codec::has_sign ? 2 * largest + 1 : largest + 1);
      lowest_ = Codec::has_sign ? -largest : 0;
    }
  }
  int64_t at(uint64_t index) const {
    const int64_t drawn = static_cast<int64_t>((random_at(key_, index) >> 32) * range_ >> 32);
    if constexpr (std::is_same_v<Codec, BoolCodec>) return drawn + lowest_ == 0;
    return drawn + lowest_;
  }

 private:
  uint64_t key_;
  uint64_t range_ = 1;
  int64_t lowest_ = 0;
};

// Numbers below one that fill the significand, at several scales.
template <typename Codec>
class FullNumbers {
 public:
  FullNumbers(const Draw& draw, int rank) : key_(key_of(draw, rank)) {}
  double at(uint64_t index) const {
    constexpr int bits = std::min(Codec::precision, 32);
    constexpr int scales = Codec::precision > 32 ? 32 : 4;
    const uint64_t random = random_at(key_, index);
    const double significand = static_cast<double>(random >> (64 - bits));
    const double value = std::ldexp(significand, -bits - static_cast<int>(random % scales));
    return (random & 64) != 0 ? -value : value;
  }

 private:
  uint64_t key_;
};

template <typename Codec, typename Numbers>
void fill(const Numbers& numbers, uint64_t components, void* out) {
  auto* elements = static_cast<typename Codec::Bits*>(out);
  for (uint64_t i = 0; i < components; ++i) elements[i] = Codec::encode(numbers.at(i));
}

template <typename Codec>
std::string text_of(const void* elements, uint64_t element, size_t components) {
  const auto* bits = static_cast<const typename Codec::Bits*>(elements) + element * components;
  const auto one = [](typename Codec::Bits value) {
    if constexpr (Codec::precision == 0) return fmt::format("{}", value);
    // As short as tells it from its neighbours.
    if constexpr (Codec::precision > 24) return fmt::format("{}", Codec::decode(value));
    return fmt::format("{}", static_cast<float>(Codec::decode(value)));
  };
  return components == 1 ? one(bits[0]) : fmt::format("({}, {})", one(bits[0]), one(bits[1]));
}

}  // namespace

void fill_input(const Draw& draw, ElementType type, int rank, uint64_t count, void* out) {
  const uint64_t components = count * components_of(type);
  with_codec(type, [&](auto codec) {
    using Codec = decltype(codec);
    if constexpr (Codec::precision > 0) {
      if (draw.rounded) return fill<Codec>(FullNumbers<Codec>(draw, rank), components, out);
    }
    fill<Codec>(WholeNumbers<Codec>(draw, rank), components, out);
  });
}

template <typename Codec>
std::optional<uint64_t> SumCheck::first_wrong_exact(const Draw& draw, uint64_t begin,
                                                    uint64_t count, const void* got) {
  whole_.assign(count, 0);
  for (int rank = 0; rank < draw.ranks; ++rank) {
    const WholeNumbers<Codec> numbers(draw, rank);
    for (uint64_t i = 0; i < count; ++i) whole_[i] += numbers.at(begin + i);
  }
  const auto* bits = static_cast<const typename Codec::Bits*>(got);
  for (uint64_t i = 0; i < count; ++i) {
    const typename Codec::Bits expected = Codec::encode(whole_[i]);
    if (std::memcmp(&bits[i], &expected, sizeof(expected)) != 0) return i;
  }
  return std::nullopt;
}

template <typename Codec>
std::optional<uint64_t> SumCheck::first_wrong_rounded(const Draw& draw, uint64_t begin,
                                                      uint64_t count, const void* got) {
  sums_.assign(count, 0);
  magnitudes_.assign(count, 0);
  for (int rank = 0; rank < draw.ranks; ++rank) {
    const FullNumbers<Codec> numbers(draw, rank);
    for (uint64_t i = 0; i < count; ++i) {
      const double value = numbers.at(begin + i);
      sums_[i] += value;
      magnitudes_[i] += std::abs(value);
    }
  }
  // Every addition rounds by at most half a unit of what has been summed; the reference itself may
  // be as far off in float64.
  const double tolerance = std::ldexp(draw.ranks, 1 - Codec::precision);
  const auto* bits = static_cast<const typename Codec::Bits*>(got);
  for (uint64_t i = 0; i < count; ++i) {
    const double difference = std::abs(Codec::decode(bits[i]) - sums_[i]);
    if (!(difference <= tolerance * magnitudes_[i])) return i;  // also for what is not a number
  }
  return std::nullopt;
}

std::optional<worker::Mismatch> SumCheck::check(const Draw& draw, ElementType type, uint64_t count,
                                                const void* got, uint64_t begin) {
  const size_t components = components_of(type);
  return with_codec(type, [&](auto codec) -> std::optional<worker::Mismatch> {
    using Codec = decltype(codec);
    const bool rounded = draw.rounded && Codec::precision > 0;
    const auto wrong = [&] {
      if constexpr (Codec::precision > 0) {
        if (rounded)
          return first_wrong_rounded<Codec>(draw, begin * components, count * components, got);
      }
      return first_wrong_exact<Codec>(draw, begin * components, count * components, got);
    }();
    if (!wrong) return std::nullopt;

    worker::Mismatch mismatch;
    mismatch.iteration = draw.iteration;
    mismatch.index = *wrong / components;
    mismatch.got = text_of<Codec>(got, mismatch.index, components);
    typename Codec::Bits expected[2] = {};
    for (size_t i = 0; i < components; ++i) {
      const uint64_t at = mismatch.index * components + i;
      // A rounded sum need not be representable: the exact encoders do not take it.
      if (rounded) {
        if (i == 0) mismatch.expected = fmt::format("about {:.9g}", sums_[at]);
        if (i == 1) mismatch.expected += fmt::format(", {:.9g}", sums_[at]);
      } else {
        expected[i] = Codec::encode(whole_[at]);
      }
    }
    if (!rounded) mismatch.expected = text_of<Codec>(expected, 0, components);
    return mismatch;
  });
}

void fill_bytes(const Draw& draw, int rank, uint64_t bytes, void* out) {
  const uint64_t key = key_of(draw, rank, kBytesOperation);
  auto* target = static_cast<uint8_t*>(out);
  for (uint64_t i = 0; i < bytes; ++i) target[i] = static_cast<uint8_t>(random_at(key, i) >> 56);
}

uint64_t draw_number(const Draw& draw, uint64_t index) {
  return random_at(key_of(draw, kNoRank, kNumberOperation), index);
}

std::optional<worker::Mismatch> check_extremum(const Draw& draw, ElementType type, uint64_t count,
                                               bool largest, const void* got) {
  const size_t bytes = count * element_bytes(type), components = components_of(type);
  std::vector<std::vector<std::byte>> inputs(static_cast<size_t>(draw.ranks));
  for (int rank = 0; rank < draw.ranks; ++rank) {
    inputs[static_cast<size_t>(rank)].resize(bytes);
    fill_input(draw, type, rank, count, inputs[static_cast<size_t>(rank)].data());
  }
  return with_codec(type, [&](auto codec) -> std::optional<worker::Mismatch> {
    using Codec = decltype(codec);
    // Real and imaginary part, or the number and 0.
    const auto key = [&](const void* elements, uint64_t i) {
      const auto* bits = static_cast<const typename Codec::Bits*>(elements) + i * components;
      return std::pair(Codec::decode(bits[0]), components == 2 ? Codec::decode(bits[1]) : 0.0);
    };
    for (uint64_t i = 0; i < count; ++i) {
      const void* best = inputs[0].data();
      for (const auto& input : inputs) {
        const bool better =
            largest ? key(best, i) < key(input.data(), i) : key(input.data(), i) < key(best, i);
        if (better) best = input.data();
      }
      if (key(got, i) == key(best, i)) continue;
      return worker::Mismatch{draw.iteration, i, text_of<Codec>(got, i, components),
                              text_of<Codec>(best, i, components)};
    }
    return std::nullopt;
  });
}

std::optional<worker::Mismatch> check_bytes(const Draw& draw, int rank, uint64_t bytes,
                                            const void* got) {
  const uint64_t key = key_of(draw, rank, kBytesOperation);
  const auto* values = static_cast<const uint8_t*>(got);
  for (uint64_t i = 0; i < bytes; ++i) {
    const auto expected = static_cast<uint8_t>(random_at(key, i) >> 56);
    if (values[i] == expected) continue;
    return worker::Mismatch{draw.iteration, i, fmt::format("{}", values[i]),
                            fmt::format("{}", expected)};
  }
  return std::nullopt;
}

}  // namespace railyard::rank
