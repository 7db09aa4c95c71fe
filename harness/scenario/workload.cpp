// The "group" and "workload" sections.
#include <fmt/format.h>

#include "scenario/sections.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

const std::vector<std::string> kDtypes = {"bool",     "int8",    "int16",   "int32",    "int64",
                                          "uint8",    "uint16",  "uint32",  "uint64",   "float16",
                                          "bfloat16", "float32", "float64", "complex64"};

struct Operation {
  const char* name;
  std::vector<std::string> keys;  // beside op and repeat
};

const std::vector<Operation>& operations() {
  static const std::vector<Operation> known = {
      {"all_sum", {"dtype", "count", "in_place", "rounded"}},
      {"barrier", {}},
      {"send_recv", {"from", "to", "bytes"}},
      {"sleep", {"time", "rank"}},
      {"compute", {"time", "rank"}},
  };
  return known;
}

uint64_t read_bytes(const Reader& reader) {
  if (reader.is_number()) {
    reader.fail(fmt::format("{0} has no unit; write it as \"{0}B\" (B, KiB, MiB, GiB, kB, MB, GB)",
                            reader.json().dump()));
  }
  try {
    return parse_bytes(reader.text());
  } catch (const UnitError& error) {
    reader.fail(error.what());
  }
}

void check_key(const Reader& entry, const std::string& key, uint64_t ranks) {
  Reader value = entry.at(key);
  if (key == "dtype") value.one_of(kDtypes);
  if (key == "count") value.whole(0, uint64_t{1} << 40);
  if (key == "bytes") read_bytes(value);
  if (key == "time") value.duration();
  if (key == "from" || key == "to" || key == "rank") value.whole(0, ranks - 1);
  if ((key == "in_place" || key == "rounded") && !value.json().is_boolean()) {
    value.fail("this is true or false");
  }
}

}  // namespace

GroupPlan read_group(const Reader& reader, const Cluster& cluster) {
  reader.object({"backend", "deadline", "rails", "matrix"});
  GroupPlan group;
  if (reader.has("backend")) group.backend = reader.at("backend").one_of({"mesh", "ring", "any"});
  if (reader.has("deadline")) {
    group.deadline = reader.at("deadline").duration();
    if (group.deadline->count() < 1'000'000)
      reader.at("deadline").fail("a deadline is at least 1ms");
  }
  if (reader.has("rails")) group.rails = static_cast<int>(reader.at("rails").whole(1, 16));
  if (reader.has("matrix")) {
    Reader matrix = reader.at("matrix");
    if (matrix.is_text()) {
      std::string file = beside(reader.file(), matrix.text());
      Json json = parse_json(file, read_file(file));
      group.matrix = read_matrix(Reader(file, "", json), cluster.ranks, &cluster.spec.nodes);
    } else {
      group.matrix = read_matrix(matrix, cluster.ranks, &cluster.spec.nodes);
    }
  }
  return group;
}

std::vector<OperationPlan> read_workload(const Reader& reader, int ranks) {
  std::vector<OperationPlan> plans;
  std::vector<std::string> names;
  for (const Operation& operation : operations()) names.push_back(operation.name);
  for (const Reader& entry : reader.elements()) {
    entry.members();  // an object
    OperationPlan plan;
    plan.name = entry.at("op").one_of(names);
    for (const Operation& operation : operations()) {
      if (operation.name != plan.name) continue;
      std::vector<std::string> keys = {"op", "repeat"};
      keys.insert(keys.end(), operation.keys.begin(), operation.keys.end());
      entry.object(keys);
      for (const std::string& key : operation.keys) {
        if (entry.has(key)) check_key(entry, key, static_cast<uint64_t>(ranks));
      }
    }
    if (entry.has("repeat")) plan.repeat = entry.at("repeat").whole(1, 0xffffffff);
    plans.push_back(plan);
  }
  return plans;
}

}  // namespace railyard::harness
