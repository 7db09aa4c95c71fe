// Compiled once for each vector instruction set; the best one that the processor has is taken at
// run time. The conversions are those of half.h in vector form rather than the processor's own,
// some of which round differently.
#include "reduce/half_sum.h"

#include "reduce/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reduce/half_sum.cpp"
// clang-format off: the order matters
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace railyard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

const hn::ScalableTag<uint32_t> kBits;
const hn::RebindToSigned<decltype(kBits)> kSigned;
const hn::RebindToFloat<decltype(kBits)> kFloats;
const hn::Rebind<uint16_t, decltype(kBits)> kHalves;
using Bits = hn::Vec<decltype(kBits)>;
using Floats = hn::Vec<decltype(kFloats)>;

// Where a < b, both below 2^31.
HWY_INLINE auto below(Bits a, uint32_t b) {
  return hn::RebindMask(kBits,
                        hn::Lt(hn::BitCast(kSigned, a), hn::Set(kSigned, static_cast<int32_t>(b))));
}

struct Float16 {
  static HWY_INLINE Floats widen(Bits half) {
    Bits sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(kBits, 0x8000u)));
    Bits magnitude = hn::And(half, hn::Set(kBits, 0x7fffu));
    Floats units = hn::Mul(hn::ConvertTo(kFloats, hn::BitCast(kSigned, magnitude)),
                           hn::Set(kFloats, 0x1p-24f));
    Bits shifted = hn::ShiftLeft<13>(magnitude);
    Bits normal = hn::Add(shifted, hn::Set(kBits, 0x38000000u));
    Bits special = hn::Or(shifted, hn::Set(kBits, 0x7f800000u));
    Bits large = hn::IfThenElse(below(magnitude, 0x7c00u), normal, special);
    Bits all = hn::IfThenElse(below(magnitude, 0x0400u), hn::BitCast(kBits, units), large);
    return hn::BitCast(kFloats, hn::Or(sign, all));
  }
  static HWY_INLINE Bits narrow(Floats value) {
    Bits bits = hn::BitCast(kBits, value);
    Bits sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(kBits, 0x8000u));
    Bits magnitude = hn::And(bits, hn::Set(kBits, 0x7fffffffu));
    Floats aligned = hn::Add(hn::BitCast(kFloats, magnitude), hn::Set(kFloats, 0.5f));
    Bits subnormal = hn::Sub(hn::BitCast(kBits, aligned), hn::Set(kBits, 0x3f000000u));
    Bits odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(kBits, 1u));
    Bits rounded = hn::Add(hn::Add(magnitude, hn::Set(kBits, 0xfffu - 0x38000000u)), odd);
    Bits normal = hn::ShiftRight<13>(rounded);
    Bits special = hn::IfThenElse(below(magnitude, 0x7f800001u), hn::Set(kBits, 0x7c00u),
                                  hn::Set(kBits, 0x7e00u));
    Bits large = hn::IfThenElse(below(magnitude, 0x477ff000u), normal, special);
    Bits all = hn::IfThenElse(below(magnitude, 0x38800000u), subnormal, large);
    return hn::Or(sign, all);
  }
  static uint16_t add(uint16_t a, uint16_t b) {
    return to_float16(from_float16(a) + from_float16(b));
  }
};

struct BFloat16 {
  static HWY_INLINE Floats widen(Bits half) {
    return hn::BitCast(kFloats, hn::ShiftLeft<16>(half));
  }
  static HWY_INLINE Bits narrow(Floats value) {
    Bits bits = hn::BitCast(kBits, value);
    Bits upper = hn::ShiftRight<16>(bits);
    Bits odd = hn::And(upper, hn::Set(kBits, 1u));
    Bits rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(kBits, 0x7fffu)), odd));
    Bits quiet = hn::Or(upper, hn::Set(kBits, 0x40u));
    Bits magnitude = hn::And(bits, hn::Set(kBits, 0x7fffffffu));
    return hn::IfThenElse(below(magnitude, 0x7f800001u), rounded, quiet);
  }
  static uint16_t add(uint16_t a, uint16_t b) {
    return to_bfloat16(from_bfloat16(a) + from_bfloat16(b));
  }
};

template <typename Half>
HWY_INLINE void sum_halves(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count) {
  const size_t lanes = hn::Lanes(kBits);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    Floats left = Half::widen(hn::PromoteTo(kBits, hn::LoadU(kHalves, a + i)));
    Floats right = Half::widen(hn::PromoteTo(kBits, hn::LoadU(kHalves, b + i)));
    Bits sums = Half::narrow(hn::Add(left, right));
    hn::StoreU(hn::DemoteTo(kHalves, hn::BitCast(kSigned, sums)), kHalves, out + i);
  }
  for (; i < count; ++i) out[i] = Half::add(a[i], b[i]);
}

template <typename Half>
HWY_INLINE size_t widen_halves(float* out, const uint16_t* in, size_t count) {
  const size_t lanes = hn::Lanes(kBits);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(Half::widen(hn::PromoteTo(kBits, hn::LoadU(kHalves, in + i))), kFloats, out + i);
  }
  return i;
}

template <typename Half>
HWY_INLINE size_t narrow_halves(uint16_t* out, const float* in, size_t count) {
  const size_t lanes = hn::Lanes(kBits);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const Bits bits = Half::narrow(hn::LoadU(kFloats, in + i));
    hn::StoreU(hn::DemoteTo(kHalves, hn::BitCast(kSigned, bits)), kHalves, out + i);
  }
  return i;
}

void widen_float16(float* out, const uint16_t* in, size_t count) {
  for (size_t i = widen_halves<Float16>(out, in, count); i < count; ++i) {
    out[i] = from_float16(in[i]);
  }
}
void widen_bfloat16(float* out, const uint16_t* in, size_t count) {
  for (size_t i = widen_halves<BFloat16>(out, in, count); i < count; ++i) {
    out[i] = from_bfloat16(in[i]);
  }
}
void narrow_float16(uint16_t* out, const float* in, size_t count) {
  for (size_t i = narrow_halves<Float16>(out, in, count); i < count; ++i) {
    out[i] = to_float16(in[i]);
  }
}
void narrow_bfloat16(uint16_t* out, const float* in, size_t count) {
  for (size_t i = narrow_halves<BFloat16>(out, in, count); i < count; ++i) {
    out[i] = to_bfloat16(in[i]);
  }
}
void float16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count) {
  sum_halves<Float16>(out, a, b, count);
}
void bfloat16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count) {
  sum_halves<BFloat16>(out, a, b, count);
}

}  // namespace railyard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace railyard {

HWY_EXPORT(float16);
HWY_EXPORT(bfloat16);
HWY_EXPORT(widen_float16);
HWY_EXPORT(widen_bfloat16);
HWY_EXPORT(narrow_float16);
HWY_EXPORT(narrow_bfloat16);

void sum_float16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(float16)(out, a, b, count);
}
void sum_bfloat16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(bfloat16)(out, a, b, count);
}

void widen_float16(float* out, const uint16_t* in, size_t count) {
  HWY_DYNAMIC_DISPATCH(widen_float16)(out, in, count);
}
void widen_bfloat16(float* out, const uint16_t* in, size_t count) {
  HWY_DYNAMIC_DISPATCH(widen_bfloat16)(out, in, count);
}
void narrow_float16(uint16_t* out, const float* in, size_t count) {
  HWY_DYNAMIC_DISPATCH(narrow_float16)(out, in, count);
}
void narrow_bfloat16(uint16_t* out, const float* in, size_t count) {
  HWY_DYNAMIC_DISPATCH(narrow_bfloat16)(out, in, count);
}

}  // namespace railyard
#endif
