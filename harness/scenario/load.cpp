// Scenario files: found, read, checked.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "platform/executable.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace fs = std::filesystem;

namespace {

void read_work(const Reader& whole, Scenario& scenario) {
  if (whole.has("program")) {
    if (whole.has("workload"))
      whole.at("program").fail("a program brings its own work; drop \"workload\"");
    scenario.program = whole.at("program").texts();
    if (scenario.program.empty() || scenario.program[0].empty()) {
      whole.at("program").fail("the program is missing; write its path, then its arguments");
    }
    // A path with a slash is relative to the scenario; a bare name is looked up in PATH.
    if (scenario.program[0].find('/') != std::string::npos) {
      scenario.program[0] =
          fs::absolute(beside(whole.file(), scenario.program[0])).lexically_normal();
    }
    scenario.workload_json = "[]";
    return;
  }
  Reader workload = whole.at("workload");
  scenario.operations = read_workload(workload, scenario.cluster.ranks);
  scenario.workload_json = workload.json().dump();
  if (whole.has("worker")) {
    scenario.worker =
        whole.at("worker").one_of({"railyard-rank", "railyard-rank-sim", "railyard-faulty"});
  }
  if (whole.has("variant")) {
    scenario.variant = whole.at("variant").text();
    if (!whole.has("worker")) scenario.worker = "railyard-faulty";
  }
  bool faulty = scenario.worker == "railyard-faulty";
  if (faulty && scenario.variant.empty())
    whole.fail("railyard-faulty needs the key 'variant'; add it");
  if (!faulty && !scenario.variant.empty()) {
    whole.at("variant").fail(
        fmt::format("{} has no variants; use the worker railyard-faulty", scenario.worker));
  }
}

}  // namespace

std::string beside(const std::string& file, const std::string& path) {
  if (path.empty() || path[0] == '/') return path;
  return (fs::path(file).parent_path() / path).string();
}

namespace {

Scenario read_scenario(const Reader& whole, std::optional<uint64_t> seed) {
  whole.object({"$schema", "summary", "references", "cluster", "group", "workload", "program",
                "worker", "variant", "environment", "seed", "faults", "expect", "healthy"});
  Scenario scenario;
  scenario.file = whole.file();
  scenario.name = fs::path(whole.file()).stem();
  scenario.summary = whole.at("summary").text();
  if (whole.has("references")) scenario.references = whole.at("references").texts();
  if (whole.has("seed")) scenario.seed = whole.at("seed").whole(0, ~uint64_t{0});
  if (seed) scenario.seed = *seed;
  scenario.cluster = read_cluster(whole.at("cluster"));
  if (whole.has("group")) scenario.group = read_group(whole.at("group"), scenario.cluster);
  read_work(whole, scenario);
  if (whole.has("environment")) scenario.environment = read_environment(whole.at("environment"));
  if (whole.has("faults")) scenario.faults = read_faults(whole.at("faults"), scenario);
  if (whole.has("expect")) {
    scenario.expect = read_expectation(whole.at("expect"), scenario.cluster.ranks, scenario.faults);
  }
  return scenario;
}

// The file with what "healthy" says in place of its own; a key that is null goes.
Json healthy_twin(const Reader& whole) {
  Json twin = whole.json();
  Json changes = whole.at("healthy").json();
  whole.at("healthy").object(
      {"cluster", "group", "workload", "worker", "variant", "environment", "faults", "expect"});
  twin.erase("healthy");
  twin.erase("expect");  // what the faulty one leads to says nothing of this one
  if (changes.contains("worker") && !changes.contains("variant")) twin.erase("variant");
  twin.merge_patch(changes);
  return twin;
}

}  // namespace

Scenario parse_scenario(const std::string& file, const std::string& text,
                        std::optional<uint64_t> seed) {
  Json json = parse_json(file, text);
  Scenario scenario = read_scenario(Reader(file, "", json), seed);
  check_against_schema(file, text);
  return scenario;
}

Scenario load_scenario(const std::string& file, std::optional<uint64_t> seed) {
  return parse_scenario(file, read_file(file), seed);
}

std::vector<Scenario> load_scenarios(const std::string& file, std::optional<uint64_t> seed) {
  std::vector<Scenario> scenarios = {load_scenario(file, seed)};
  Json json = parse_json(file, read_file(file));
  Reader whole(file, "", json);
  if (!whole.has("healthy")) return scenarios;
  Json twin = healthy_twin(whole);
  scenarios.push_back(read_scenario(Reader(file, "healthy", twin), seed));
  scenarios.back().name += "-healthy";
  scenarios.back().twin = true;
  return scenarios;
}

std::string default_scenarios() {
  std::error_code error;
  fs::path installed = fs::path(executable_directory()) / "../share/railyard/scenarios";
  if (!fs::exists("scenarios", error) && fs::exists(installed, error)) {
    return installed.lexically_normal();
  }
  return "scenarios";
}

std::vector<std::string> find_scenarios(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::exists(path, error)) {
      throw InputError(path, "", "there is no such file or directory; check the path");
    }
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
      // x.schema.json, x.cluster.json and their like are no scenarios.
      if (entry.path().extension() == ".json" && entry.path().stem().extension().empty() &&
          entry.is_regular_file()) {
        found.push_back(entry.path().lexically_normal());
      }
    }
    if (found.empty()) throw InputError(path, "", "has no scenario in it; name another directory");
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

}  // namespace railyard::harness
