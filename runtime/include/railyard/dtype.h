// Element types of the collectives. The order is JACCL's, so a number means the same type in both.
#pragma once

#include <cstddef>

namespace railyard {

enum class Dtype {
  Bool = 0,  // one byte, 0 or 1
  Int8,
  Int16,
  Int32,
  Int64,
  UInt8,
  UInt16,
  UInt32,
  UInt64,
  Float16,   // IEEE binary16
  BFloat16,  // the upper half of a binary32
  Float32,
  Float64,
  Complex64,  // two float32: real, imaginary
};

inline constexpr int kDtypeCount = static_cast<int>(Dtype::Complex64) + 1;

// Bytes of one element.
constexpr size_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::Bool:
    case Dtype::Int8:
    case Dtype::UInt8:
      return 1;
    case Dtype::Int16:
    case Dtype::UInt16:
    case Dtype::Float16:
    case Dtype::BFloat16:
      return 2;
    case Dtype::Int32:
    case Dtype::UInt32:
    case Dtype::Float32:
      return 4;
    case Dtype::Int64:
    case Dtype::UInt64:
    case Dtype::Float64:
    case Dtype::Complex64:
      return 8;
  }
  return 1;
}

// "float16", "complex64", ... as scenario files and logs write them.
constexpr const char* name(Dtype dtype) {
  switch (dtype) {
    case Dtype::Bool:
      return "bool";
    case Dtype::Int8:
      return "int8";
    case Dtype::Int16:
      return "int16";
    case Dtype::Int32:
      return "int32";
    case Dtype::Int64:
      return "int64";
    case Dtype::UInt8:
      return "uint8";
    case Dtype::UInt16:
      return "uint16";
    case Dtype::UInt32:
      return "uint32";
    case Dtype::UInt64:
      return "uint64";
    case Dtype::Float16:
      return "float16";
    case Dtype::BFloat16:
      return "bfloat16";
    case Dtype::Float32:
      return "float32";
    case Dtype::Float64:
      return "float64";
    case Dtype::Complex64:
      return "complex64";
  }
  return "unknown";
}

}  // namespace railyard
