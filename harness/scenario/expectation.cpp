// The "expect" section.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "platform/signals.h"
#include "railyard/nearest.h"
#include "railyard/verdict.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace {

// The codes of railyard::Error, by their names in a rank's result.
const std::vector<std::string> kErrorCodes = {"none",
                                              "any",
                                              "peer-unreachable",
                                              "peer-dead",
                                              "configuration",
                                              "device",
                                              "limit-reached",
                                              "completion-error",
                                              "deadline-exceeded",
                                              "aborted",
                                              "group-unusable",
                                              "side-channel-lost",
                                              "mismatched-collectives"};

RankExpectation read_rank_expectation(const Reader& reader) {
  reader.object({"error", "exit", "signal"});
  RankExpectation expectation;
  if (reader.has("error")) expectation.error = reader.at("error").one_of(kErrorCodes);
  if (reader.has("exit")) expectation.exit = static_cast<int>(reader.at("exit").whole(0, 255));
  if (reader.has("signal")) {
    expectation.signal = signal_number(reader.at("signal").one_of(ending_signals()));
  }
  return expectation;
}

}  // namespace

bool Expectation::met_by(const std::string& verdict) const {
  return std::find(verdicts.begin(), verdicts.end(), verdict) != verdicts.end();
}

std::string Expectation::verdict_text() const {
  return fmt::format("{}", fmt::join(verdicts, " or "));
}

Expectation read_expectation(const Reader& reader, int ranks, std::vector<FaultPlan>& faults) {
  reader.object({"verdict", "verdict_names", "ranks", "within", "all_read", "faults"});
  Expectation expectation;
  if (reader.has("all_read")) expectation.all_read = reader.at("all_read").flag();
  if (reader.has("verdict")) {
    Reader verdict = reader.at("verdict");
    expectation.verdicts.clear();
    if (verdict.is_array()) {
      for (const Reader& each : verdict.elements()) {
        expectation.verdicts.push_back(each.one_of(verdict_names()));
      }
      if (expectation.verdicts.empty()) verdict.fail("name at least one verdict");
    } else {
      expectation.verdicts.push_back(verdict.one_of(verdict_names()));
    }
  }
  if (reader.has("verdict_names")) expectation.verdict_names = reader.at("verdict_names").texts();
  if (reader.has("within")) expectation.within = reader.at("within").duration();
  if (reader.has("faults") &&
      reader.at("faults").one_of({"fired", "did-not-fire"}) == "did-not-fire") {
    for (FaultPlan& fault : faults) fault.expected = FaultOutcome::did_not_fire;
  }
  if (!reader.has("ranks")) return expectation;
  for (const auto& [name, entry] : reader.at("ranks").members()) {
    int rank = -1;
    if (name != "*") {
      bool digits = !name.empty() && name.size() < 6 &&
                    name.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || std::stoi(name) >= ranks) {
        reader.at("ranks").fail(fmt::format(
            "there is no rank '{}'; use \"0\" to \"{}\", or \"*\" for the rest", name, ranks - 1));
      }
      rank = std::stoi(name);
    }
    expectation.ranks[rank] = read_rank_expectation(entry);
  }
  return expectation;
}

}  // namespace railyard::harness
