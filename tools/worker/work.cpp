#include "worker/work.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

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

struct KindName {
  const char* name;
  Operation::Kind kind;
};
constexpr KindName kKinds[] = {
    {"all_sum", Operation::Kind::all_sum},     {"barrier", Operation::Kind::barrier},
    {"send_recv", Operation::Kind::send_recv}, {"sleep", Operation::Kind::sleep},
    {"compute", Operation::Kind::compute},
};

// One object of the workload, read key by key; what is left over is unknown.
class Reader {
 public:
  Reader(json object, std::string place) : object_(std::move(object)), place_(std::move(place)) {
    if (!object_.is_object()) throw BadInput(place_ + ": an operation is an object");
  }

  template <typename T>
  void take(const char* key, T& value) {
    const auto found = object_.find(key);
    if (found == object_.end()) return;
    try {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        if (!found->is_number_integer() || (std::is_unsigned_v<T> && found->get<int64_t>() < 0)) {
          throw BadInput("a whole number is needed");
        }
      }
      value = found->template get<T>();
    } catch (const std::exception& error) {
      throw BadInput(fmt::format("{}/{}: {}", place_, key, error.what()));
    }
    object_.erase(found);
  }

  // A quantity with a unit, or a plain number.
  template <typename T, typename Parse>
  void take_quantity(const char* key, T& value, Parse parse) {
    const auto found = object_.find(key);
    if (found == object_.end()) return;
    if (!found->is_string()) return take(key, value);
    std::string text;
    take(key, text);
    try {
      value = parse(text);
    } catch (const BadInput& error) {
      throw BadInput(fmt::format("{}/{}: {}", place_, key, error.what()));
    }
  }

  void take_rank(const char* key, int& rank, int ranks) {
    take(key, rank);
    if (rank >= ranks) {
      throw BadInput(fmt::format("{}/{}: there is no rank {} among {}", place_, key, rank, ranks));
    }
  }

  void done() const {
    if (object_.empty()) return;
    throw BadInput(fmt::format("{}: unknown key '{}'", place_, object_.begin().key()));
  }

  const std::string& place() const { return place_; }

 private:
  json object_;
  std::string place_;
};

Operation read_operation(const json& object, const std::string& place, int ranks) {
  Reader reader(object, place);
  Operation operation;
  reader.take("op", operation.name);
  reader.take("repeat", operation.repeat);
  bool known = false;
  for (const KindName& each : kKinds) {
    if (operation.name != each.name) continue;
    operation.kind = each.kind;
    known = true;
  }
  if (!known) throw BadInput(fmt::format("{}/op: unknown operation '{}'", place, operation.name));

  switch (operation.kind) {
    case Operation::Kind::all_sum:
      reader.take("dtype", operation.dtype);
      reader.take("count", operation.count);
      reader.take("in_place", operation.in_place);
      reader.take("rounded", operation.rounded);
      break;
    case Operation::Kind::send_recv:
      reader.take_rank("from", operation.from, ranks);
      reader.take_rank("to", operation.to, ranks);
      reader.take_quantity("bytes", operation.bytes, parse_bytes);
      if (operation.from < 0 || operation.to < 0 || operation.from == operation.to) {
        throw BadInput(place + ": 'from' and 'to' are two different ranks");
      }
      break;
    case Operation::Kind::sleep:
    case Operation::Kind::compute:
      reader.take_quantity("time", operation.time_ns, parse_time);
      reader.take_rank("rank", operation.rank, ranks);
      break;
    case Operation::Kind::barrier:
      break;
  }
  reader.done();
  return operation;
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
  const json workload = root.value("workload", json::array());
  if (!workload.is_array()) throw BadInput("workload: a list of operations is needed");
  for (size_t i = 0; i < workload.size(); ++i) {
    work.operations.push_back(read_operation(workload[i], fmt::format("workload/{}", i), ranks));
  }
  return work;
}

Work read_work(const std::string& path, int ranks) {
  if (path.empty()) return {};
  std::ifstream file(path);
  if (!file) throw BadInput(path + ": cannot be read");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  try {
    return parse_work(text, ranks);
  } catch (const BadInput& error) {
    throw BadInput(fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace railyard::worker
