// The JSON Schema, and scenarios checked against it.
#include <fmt/format.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "generated/scenario_schema.h"
#include "scenario/json_schema.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace {

const valijson::Schema& parsed(const char* text) {
  static auto* schemas =
      new std::map<const char*, valijson::Schema>;  // live as long as the program
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  auto [found, added] = schemas->try_emplace(text);
  if (added) {
    nlohmann::json json = nlohmann::json::parse(text);
    valijson::adapters::NlohmannJsonAdapter adapter(json);
    valijson::SchemaParser().populateSchema(adapter, found->second);
  }
  return found->second;
}

// "[faults][0][when]" pieces, the first of which is "<root>".
std::string place_of(const std::vector<std::string>& context) {
  std::string place;
  for (size_t i = 1; i < context.size(); ++i) {
    std::string piece = context[i];
    if (piece.size() > 2 && piece.front() == '[') piece = piece.substr(1, piece.size() - 2);
    place += (place.empty() ? "" : "/") + piece;
  }
  return place;
}

}  // namespace

const char* scenario_schema() { return kScenarioSchema; }

void check_against_schema(const std::string& file, const std::string& text) {
  check_against_schema({kScenarioSchema, "scenario.schema.json"}, file, text);
}

void check_against_schema(const Schema& schema, const std::string& file, const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text);
  valijson::Validator validator;
  valijson::ValidationResults results;
  valijson::adapters::NlohmannJsonAdapter adapter(json);
  if (validator.validate(parsed(schema.text), adapter, &results)) return;
  // The deepest complaint is the most precise one.
  valijson::ValidationResults::Error error, deepest;
  while (results.popError(error)) {
    if (error.context.size() > deepest.context.size()) deepest = error;
  }
  throw InputError(file, place_of(deepest.context),
                   fmt::format("{} See {}.", deepest.description, schema.name));
}

}  // namespace railyard::harness
