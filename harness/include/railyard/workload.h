// The operations of a workload and their parameters: what scenario files may say and what workers
// take. One table, read by both.
#pragma once

#include <cstdint>
#include <span>

namespace railyard::harness {

enum class OperationId {
  all_sum,
  all_max,
  all_min,
  sum_scatter,
  all_gather,
  all_to_all,
  broadcast,
  barrier,
  send_recv,
  sleep,
  compute,
  // Lists of operations.
  loop,
  mix,
  // Models of the traffic that people run.
  tensor_parallel_decode,
  pipeline_decode,
  moe_decode,
  gradient_averaging,
  model_load,
};

enum class ParameterKind {
  whole,       // a number from `least` to `most`
  bytes,       // "64KiB"
  time,        // "5ms"
  rank,        // of the group
  dtype,       // any element type
  floating,    // float32, float16 or bfloat16
  bits,        // of a weight: 4, 8, or 16 for one that is not quantised
  stages,      // into how many the ranks are split: whole, and divides them
  flag,        // true or false
  operations,  // a list like the workload itself, without lists in it
};

struct Parameter {
  const char* name;
  ParameterKind kind;
  const char* otherwise = nullptr;  // its value, as JSON, when it is left out; null: none
  uint64_t least = 0;
  uint64_t most = uint64_t{1} << 40;
  bool required = false;
  // Divided among the ranks of a stage: divisible by share_unit(bits) * ranks / stages.
  bool shared = false;
  const char* no_more_than = nullptr;  // another parameter
};

// Weights of fewer than 16 bits are cut between groups of this many.
inline constexpr uint64_t kQuantizedGroup = 32;
constexpr uint64_t share_unit(uint64_t bits) { return bits < 16 ? kQuantizedGroup : 1; }

namespace workload {

inline constexpr uint64_t kMostLayers = 1024, kMostWidth = 65536, kMostTokens = 4096;

// all_sum, all_max, all_min, sum_scatter: `count` elements of the output.
inline constexpr Parameter kReduction[] = {
    {"dtype", ParameterKind::dtype, R"("float32")"},
    {"count", ParameterKind::whole, "1"},
    {"in_place", ParameterKind::flag, "false"},
    {"rounded", ParameterKind::flag, "false"},
};
// all_gather and all_to_all: `bytes` from each rank to each.
inline constexpr Parameter kExchange[] = {
    {"bytes", ParameterKind::bytes, R"("1B")"},
    {"in_place", ParameterKind::flag, "false"},
};
inline constexpr Parameter kBroadcast[] = {
    {"bytes", ParameterKind::bytes, R"("1B")"},
    {"from", ParameterKind::rank, "0"},
};
inline constexpr Parameter kSendRecv[] = {
    {"from", ParameterKind::rank, "0"},
    {"to", ParameterKind::rank, "1"},
    {"bytes", ParameterKind::bytes, R"("1B")"},
};
inline constexpr Parameter kTime[] = {
    {"time", ParameterKind::time, R"("0ns")"},
    {"rank", ParameterKind::rank},
};
inline constexpr Parameter kLoop[] = {
    {"operations", ParameterKind::operations, nullptr, 0, 0, true},
};
inline constexpr Parameter kMix[] = {
    {"operations", ParameterKind::operations, nullptr, 0, 0, true},
    {"random_sizes", ParameterKind::flag, "false"},
};
inline constexpr Parameter kTensorParallelDecode[] = {
    {"layers", ParameterKind::whole, "32", 1, kMostLayers},
    {"width", ParameterKind::whole, "256", 1, kMostWidth, false, true},
    {"hidden", ParameterKind::whole, "512", 1, kMostWidth, false, true},
    {"tokens", ParameterKind::whole, "1", 1, kMostTokens},
    {"bits", ParameterKind::bits, "16"},
    {"stages", ParameterKind::stages, "1", 1, kMostLayers, false, false, "layers"},
    {"dtype", ParameterKind::floating, R"("float16")"},
};
inline constexpr Parameter kPipelineDecode[] = {
    {"layers", ParameterKind::whole, "32", 1, kMostLayers},
    {"width", ParameterKind::whole, "512", 1, kMostWidth},
    {"tokens", ParameterKind::whole, "1", 1, kMostTokens},
    {"dtype", ParameterKind::floating, R"("float16")"},
};
inline constexpr Parameter kMoeDecode[] = {
    {"layers", ParameterKind::whole, "43", 1, kMostLayers},
    {"width", ParameterKind::whole, "7168", 1, kMostWidth},
    {"hidden", ParameterKind::whole, "8", 1, kMostWidth},
    {"experts", ParameterKind::whole, "16", 1, 4096},
    {"top_k", ParameterKind::whole, "4", 1, 4096, false, false, "experts"},
    {"tokens", ParameterKind::whole, "1", 1, kMostTokens},
    {"wire", ParameterKind::floating, R"("float32")"},
};
inline constexpr Parameter kGradientAveraging[] = {
    {"layers", ParameterKind::whole, "8", 1, kMostLayers},
    {"width", ParameterKind::whole, "128", 1, kMostWidth},
    {"rows", ParameterKind::whole, "4", 1, kMostTokens},
    {"batch", ParameterKind::bytes, R"("32MiB")"},
    {"dtype", ParameterKind::floating, R"("float32")"},
    {"wire", ParameterKind::floating},
};
inline constexpr Parameter kModelLoad[] = {
    {"layers", ParameterKind::whole, "48", 1, kMostLayers},
    {"bytes", ParameterKind::bytes, R"("1MiB")"},
    {"from", ParameterKind::rank, "0"},
};

}  // namespace workload

struct OperationKind {
  OperationId id;
  const char* name;
  std::span<const Parameter> parameters;  // beside "op" and "repeat"
};

inline constexpr OperationKind kOperationKinds[] = {
    {OperationId::all_sum, "all_sum", workload::kReduction},
    {OperationId::all_max, "all_max", workload::kReduction},
    {OperationId::all_min, "all_min", workload::kReduction},
    {OperationId::sum_scatter, "sum_scatter", workload::kReduction},
    {OperationId::all_gather, "all_gather", workload::kExchange},
    {OperationId::all_to_all, "all_to_all", workload::kExchange},
    {OperationId::broadcast, "broadcast", workload::kBroadcast},
    {OperationId::barrier, "barrier", {}},
    {OperationId::send_recv, "send_recv", workload::kSendRecv},
    {OperationId::sleep, "sleep", workload::kTime},
    {OperationId::compute, "compute", workload::kTime},
    {OperationId::loop, "loop", workload::kLoop},
    {OperationId::mix, "mix", workload::kMix},
    {OperationId::tensor_parallel_decode, "tensor_parallel_decode",
     workload::kTensorParallelDecode},
    {OperationId::pipeline_decode, "pipeline_decode", workload::kPipelineDecode},
    {OperationId::moe_decode, "moe_decode", workload::kMoeDecode},
    {OperationId::gradient_averaging, "gradient_averaging", workload::kGradientAveraging},
    {OperationId::model_load, "model_load", workload::kModelLoad},
};

// Element types by name, in JACCL's order.
inline constexpr const char* kDtypeNames[] = {
    "bool",   "int8",   "int16",   "int32",    "int64",   "uint8",   "uint16",
    "uint32", "uint64", "float16", "bfloat16", "float32", "float64", "complex64"};
inline constexpr const char* kFloatingNames[] = {"float16", "bfloat16", "float32"};

}  // namespace railyard::harness
