// The "group" and "workload" sections.
#include <fmt/format.h>

#include <span>

#include "railyard/workload.h"
#include "scenario/sections.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

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

std::vector<std::string> list_of(std::span<const char* const> names) {
  return {names.begin(), names.end()};
}

void check_value(const Reader& value, const Parameter& parameter, int ranks) {
  switch (parameter.kind) {
    case ParameterKind::whole:
      value.whole(parameter.least, parameter.most);
      return;
    case ParameterKind::stages: {
      const uint64_t stages = value.whole(parameter.least, parameter.most);
      if (static_cast<uint64_t>(ranks) % stages != 0) {
        value.fail(fmt::format("{} ranks cannot be split into {} equal stages", ranks, stages));
      }
      return;
    }
    case ParameterKind::bytes:
      read_bytes(value);
      return;
    case ParameterKind::time:
      value.duration();
      return;
    case ParameterKind::rank:
      value.whole(0, static_cast<uint64_t>(ranks) - 1);
      return;
    case ParameterKind::dtype:
      value.one_of(list_of(kDtypeNames));
      return;
    case ParameterKind::floating:
      value.one_of(list_of(kFloatingNames));
      return;
    case ParameterKind::bits: {
      const uint64_t bits = value.whole(4, 16);
      if (bits != 4 && bits != 8 && bits != 16) value.fail("weights have 4, 8 or 16 bits");
      return;
    }
    case ParameterKind::flag:
      value.flag();
      return;
    case ParameterKind::operations:
      return;  // read as a list
  }
}

// What a whole number is, given or left out; `absent` where the operation has no such parameter.
uint64_t value_of(const Reader& entry, const OperationKind& kind, const std::string& name,
                  uint64_t absent = 0) {
  for (const Parameter& parameter : kind.parameters) {
    if (parameter.name != name) continue;
    if (entry.has(name)) return entry.at(name).json().get<uint64_t>();
    return Json::parse(parameter.otherwise).get<uint64_t>();
  }
  return absent;
}

// What one parameter says of another, or of the number of ranks.
void check_together(const Reader& entry, const OperationKind& kind, int ranks) {
  const uint64_t unit = share_unit(value_of(entry, kind, "bits", 16));
  const uint64_t sharers = static_cast<uint64_t>(ranks) / value_of(entry, kind, "stages", 1);
  for (const Parameter& parameter : kind.parameters) {
    const std::string name = parameter.name;
    const auto blame = [&] { return entry.has(name) ? entry.at(name) : entry; };
    if (parameter.shared) {
      const uint64_t value = value_of(entry, kind, name);
      const uint64_t divisor = unit * sharers;
      if (value % divisor != 0) {
        blame().fail(fmt::format("{} of {} cannot be shared by {} ranks{}; take a multiple of {}",
                                 name, value, sharers,
                                 unit == 1 ? "" : fmt::format(" in groups of {}", unit), divisor));
      }
    }
    if (parameter.kind == ParameterKind::rank && parameter.otherwise != nullptr &&
        value_of(entry, kind, name) >= static_cast<uint64_t>(ranks)) {
      blame().fail(fmt::format("'{}' is rank {} where it is left out; there is none among {}", name,
                               parameter.otherwise, ranks));
    }
    if (parameter.no_more_than != nullptr) {
      const uint64_t most = value_of(entry, kind, parameter.no_more_than);
      if (value_of(entry, kind, name) > most) {
        blame().fail(
            fmt::format("{} is more than {}, which is {}", name, parameter.no_more_than, most));
      }
    }
  }
  if (kind.id == OperationId::send_recv &&
      value_of(entry, kind, "from") == value_of(entry, kind, "to")) {
    entry.fail("'from' and 'to' are the same rank; name two different ones");
  }
}

const OperationKind& kind_of(const Reader& entry) {
  std::vector<std::string> names;
  for (const OperationKind& kind : kOperationKinds) names.emplace_back(kind.name);
  const std::string name = entry.at("op").one_of(names);
  for (const OperationKind& kind : kOperationKinds) {
    if (kind.name == name) return kind;
  }
  entry.fail("no such operation");
}

OperationPlan read_operation(const Reader& entry, int ranks, bool nested) {
  entry.members();  // an object
  const OperationKind& kind = kind_of(entry);
  std::vector<std::string> keys = {"op", "repeat"};
  for (const Parameter& parameter : kind.parameters) keys.emplace_back(parameter.name);
  entry.object(keys);
  for (const Parameter& parameter : kind.parameters) {
    if (parameter.required) entry.at(parameter.name);
    if (!entry.has(parameter.name)) continue;
    check_value(entry.at(parameter.name), parameter, ranks);
    if (parameter.kind != ParameterKind::operations) continue;
    if (nested)
      entry.at("op").fail(
          fmt::format("a {} within a list; lists hold plain operations", kind.name));
    const auto elements = entry.at(parameter.name).elements();
    if (elements.empty()) entry.at(parameter.name).fail("an empty list; name an operation");
    for (const Reader& element : elements) read_operation(element, ranks, true);
  }
  check_together(entry, kind, ranks);
  OperationPlan plan;
  plan.name = kind.name;
  if (entry.has("repeat")) plan.repeat = entry.at("repeat").whole(1, 0xffffffff);
  return plan;
}

}  // namespace

GroupPlan read_group(const Reader& reader, const Cluster& cluster) {
  reader.object({"backend", "deadline", "rails", "matrix"});
  GroupPlan group;
  if (reader.has("backend")) {
    group.backend =
        reader.at("backend").one_of({"mesh", "ring", "tcp", "tcp-ring", "local", "any"});
    if (group.backend == "local" && cluster.ranks != 1) {
      reader.at("backend").fail(
          fmt::format("a local group has one rank, this cluster has {}", cluster.ranks));
    }
  }
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

std::vector<VariablePlan> read_environment(const Reader& reader) {
  std::vector<VariablePlan> plans;
  for (const auto& [name, entry] : reader.members()) {
    if (name.empty() || name.find('=') != std::string::npos)
      reader.fail(fmt::format("'{}' is no name of a variable", name));
    VariablePlan plan{name, std::nullopt, entry.is_object()};
    if (plan.is_file) {
      plan.value = entry.object({"file"}).at("file").text();
    } else if (!entry.is_null()) {
      plan.value = entry.text();
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

std::vector<OperationPlan> read_workload(const Reader& reader, int ranks) {
  std::vector<OperationPlan> plans;
  for (const Reader& entry : reader.elements()) {
    plans.push_back(read_operation(entry, ranks, false));
  }
  return plans;
}

}  // namespace railyard::harness
