#include "worker/work.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <variant>

namespace railyard::worker {
namespace {

using nlohmann::json;
using Unit = std::pair<const char*, double>;

constexpr std::array<Unit, 5> kTimes = {
    {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}}};
constexpr std::array<Unit, 8> kSizes = {{{"B", 1},
                                         {"kB", 1e3},
                                         {"KB", 1e3},
                                         {"MB", 1e6},
                                         {"GB", 1e9},
                                         {"KiB", 1024},
                                         {"MiB", 1024.0 * 1024},
                                         {"GiB", 1024.0 * 1024 * 1024}}};

template <size_t N>
double parse_quantity(const std::string& text, const std::array<Unit, N>& units, const char* what) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (end != text.c_str() && std::isfinite(number) && number >= 0) {
    while (*end == ' ') ++end;
    if (*end == '\0') return number;
    for (const auto& [name, factor] : units) {
      if (std::string(end) == name) return std::round(number * factor);
    }
  }
  throw BadInput(fmt::format("'{}' is no {}", text, what));
}

using harness::OperationKind;
using harness::Parameter;
using harness::ParameterKind;

// Where a parameter's value goes.
using Field = std::variant<uint64_t Operation::*, int64_t Operation::*, int Operation::*,
                           bool Operation::*, std::string Operation::*>;

const std::map<std::string, Field>& fields() {
  static const std::map<std::string, Field> known = {
      {"count", &Operation::count},
      {"bytes", &Operation::bytes},
      {"time", &Operation::time_ns},
      {"dtype", &Operation::dtype},
      {"wire", &Operation::wire},
      {"in_place", &Operation::in_place},
      {"rounded", &Operation::rounded},
      {"from", &Operation::from},
      {"to", &Operation::to},
      {"rank", &Operation::rank},
      {"layers", &Operation::layers},
      {"stages", &Operation::stages},
      {"width", &Operation::width},
      {"hidden", &Operation::hidden},
      {"tokens", &Operation::tokens},
      {"rows", &Operation::rows},
      {"experts", &Operation::experts},
      {"top_k", &Operation::top_k},
      {"bits", &Operation::bits},
      {"batch", &Operation::batch},
      {"random_sizes", &Operation::random_sizes},
  };
  return known;
}

void check_dtype(const std::string& name, ParameterKind kind) {
  const std::span<const char* const> known =
      kind == ParameterKind::floating ? std::span<const char* const>(harness::kFloatingNames)
                                      : std::span<const char* const>(harness::kDtypeNames);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw BadInput(fmt::format("unknown element type '{}'", name));
  }
}

template <typename T>
void read_value(const json& value, const Parameter& parameter, int ranks, T& field) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    if (value.is_string() && parameter.kind == ParameterKind::bytes) {
      field = static_cast<T>(parse_bytes(value.get<std::string>()));
      return;
    }
    if (value.is_string() && parameter.kind == ParameterKind::time) {
      field = static_cast<T>(parse_time(value.get<std::string>()));
      return;
    }
    if (!value.is_number_integer() || (std::is_unsigned_v<T> && value.get<int64_t>() < 0)) {
      throw BadInput("a whole number is needed");
    }
  }
  field = value.get<T>();
  if constexpr (std::is_same_v<T, std::string>) check_dtype(field, parameter.kind);
  if constexpr (std::is_same_v<T, int>) {
    if (parameter.kind == ParameterKind::rank && field >= ranks) {
      throw BadInput(fmt::format("there is no rank {} among {}", field, ranks));
    }
  }
}

std::vector<Operation> read_operations(const json& list, const std::string& place, int ranks);

void read_parameter(const json& value, const Parameter& parameter, int ranks,
                    const std::string& place, Operation& operation) {
  if (parameter.kind == ParameterKind::operations) {
    operation.operations = read_operations(value, place, ranks);
    return;
  }
  try {
    std::visit([&](auto field) { read_value(value, parameter, ranks, operation.*field); },
               fields().at(parameter.name));
  } catch (const std::exception& error) {
    throw BadInput(fmt::format("{}: {}", place, error.what()));
  }
}

const OperationKind& kind_of(const json& object, const std::string& place) {
  if (!object.is_object()) throw BadInput(place + ": an operation is an object");
  const std::string name =
      object.contains("op") && object["op"].is_string() ? object["op"].get<std::string>() : "";
  for (const OperationKind& kind : harness::kOperationKinds) {
    if (kind.name == name) return kind;
  }
  throw BadInput(fmt::format("{}/op: unknown operation '{}'", place, name));
}

Operation read_operation(json object, const std::string& place, int ranks) {
  static constexpr Parameter kRepeat = {"repeat", ParameterKind::whole};
  const OperationKind& kind = kind_of(object, place);
  Operation operation;
  operation.kind = kind.id;
  operation.name = kind.name;
  if (object.contains("repeat")) {
    try {
      read_value(object["repeat"], kRepeat, ranks, operation.repeat);
    } catch (const std::exception& error) {
      throw BadInput(fmt::format("{}/repeat: {}", place, error.what()));
    }
  }
  for (const Parameter& parameter : kind.parameters) {
    const bool given = object.contains(parameter.name);
    if (!given && parameter.otherwise == nullptr) continue;
    const json value = given ? object[parameter.name] : json::parse(parameter.otherwise);
    read_parameter(value, parameter, given ? ranks : INT_MAX,
                   fmt::format("{}/{}", place, parameter.name), operation);
    object.erase(parameter.name);
  }
  object.erase("op");
  object.erase("repeat");
  if (!object.empty()) {
    throw BadInput(fmt::format("{}: unknown key '{}'", place, object.begin().key()));
  }
  const bool apart = operation.from >= 0 && operation.to >= 0 && operation.from != operation.to;
  if (kind.id == Operation::Kind::send_recv && !apart) {
    throw BadInput(place + ": 'from' and 'to' are two different ranks");
  }
  return operation;
}

std::vector<Operation> read_operations(const json& list, const std::string& place, int ranks) {
  if (!list.is_array()) throw BadInput(place + ": a list of operations is needed");
  std::vector<Operation> operations;
  for (size_t i = 0; i < list.size(); ++i) {
    operations.push_back(read_operation(list[i], fmt::format("{}/{}", place, i), ranks));
  }
  return operations;
}

}  // namespace

int64_t parse_time(const std::string& text) {
  return static_cast<int64_t>(parse_quantity(text, kTimes, "time ('5ms', '2s')"));
}

uint64_t parse_bytes(const std::string& text) {
  return static_cast<uint64_t>(parse_quantity(text, kSizes, "size ('64KiB', '1MB')"));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Work parse_work(const std::string& text, int ranks) {
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) throw BadInput("the work is no JSON object");
  Work work;
  try {
    work.seed = root.value("seed", work.seed);
    work.variant = root.value("variant", work.variant);
  } catch (const json::exception& error) {
    throw BadInput(error.what());
  }
  work.operations = read_operations(root.value("workload", json::array()), "workload", ranks);
  return work;
}

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw BadInput(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

std::string variant_of(const std::string& path) {
  if (path.empty()) return "";
  const nlohmann::json root = nlohmann::json::parse(text_of(path), nullptr, false);
  return root.is_object() && root.contains("variant") && root["variant"].is_string()
             ? root["variant"].get<std::string>()
             : "";
}

Work read_work(const std::string& path, int ranks) {
  if (path.empty()) return {};
  const std::string text = text_of(path);
  try {
    return parse_work(text, ranks);
  } catch (const BadInput& error) {
    throw BadInput(fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace railyard::worker
