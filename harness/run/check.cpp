#include "run/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "scenario/units.h"

namespace railyard::harness {

namespace {

std::string how(const RankReport& rank) {
  std::string text;
  if (rank.error) {
    text = fmt::format("error {} ({})", rank.error->code, rank.error->message);
  } else if (rank.ended_by_harness) {
    text = "no error; it was ended with the run";
  } else {
    text = "no error";
  }
  if (rank.exit) text += fmt::format(", exit {}", *rank.exit);
  if (rank.signal) text += fmt::format(", signal {}", *rank.signal);
  return text;
}

bool as_expected(const RankReport& rank, const RankExpectation& expected) {
  if (expected.error) {
    bool has = rank.error.has_value();
    if (*expected.error == "none"  ? has
        : *expected.error == "any" ? !has
                                   : !has || rank.error->code != *expected.error) {
      return false;
    }
  }
  if (expected.exit && rank.exit != expected.exit) return false;
  if (expected.signal && rank.signal != expected.signal) return false;
  return true;
}

std::string wanted(const RankExpectation& expected) {
  std::vector<std::string> parts;
  if (expected.error) parts.push_back("error " + *expected.error);
  if (expected.exit) parts.push_back(fmt::format("exit {}", *expected.exit));
  if (expected.signal) parts.push_back(fmt::format("signal {}", *expected.signal));
  return fmt::format("{}", fmt::join(parts, ", "));
}

const RankExpectation* expectation_of(const Expectation& expect, int rank) {
  auto found = expect.ranks.find(rank);
  if (found == expect.ranks.end()) found = expect.ranks.find(-1);
  return found == expect.ranks.end() ? nullptr : &found->second;
}

// Verdicts that are read off queue pairs and cables, which real devices do not show.
bool hidden_on_hosts(const Expectation& expect) {
  static const std::vector<std::string> hidden = {
      "crossed-rails",   "receive-never-filled", "message-dropped-no-receive",
      "message-lost",    "frame-count-mismatch", "context-limit",
      "address-unknown", "device-broken",        "receiver-not-ready"};
  return std::all_of(expect.verdicts.begin(), expect.verdicts.end(), [](const auto& verdict) {
    return std::find(hidden.begin(), hidden.end(), verdict) != hidden.end();
  });
}

}  // namespace

bool expects_end(const Scenario& scenario, int rank) {
  const RankExpectation* expected = expectation_of(scenario.expect, rank);
  return expected && ((expected->error && *expected->error != "none") || expected->exit);
}

std::optional<Diagnosis> check_data(const std::vector<RankReport>& ranks) {
  Diagnosis diagnosis{"data-mismatch", "", {}, {}};
  auto add = [&](int rank, const std::string& line) {
    if (diagnosis.headline.empty()) {
      diagnosis.headline = line;
    } else {
      diagnosis.details.push_back(line);
    }
    diagnosis.names.push_back(fmt::format("rank {}", rank));
  };
  for (const RankReport& rank : ranks) {
    for (const OperationResult& operation : rank.operations) {
      if (!operation.mismatch.empty()) {
        add(rank.rank, fmt::format("rank {}: {}", rank.rank, operation.mismatch));
      }
    }
  }
  // Only operations that both went through are comparable.
  for (size_t i = 1; i < ranks.size(); ++i) {
    size_t count = std::min(ranks[0].operations.size(), ranks[i].operations.size());
    for (size_t k = 0; k < count; ++k) {
      const OperationResult &first = ranks[0].operations[k], &other = ranks[i].operations[k];
      if (first.digest.empty() || other.digest.empty() || first.iterations != other.iterations)
        continue;
      if (first.digest == other.digest) continue;
      add(ranks[i].rank,
          fmt::format("{} (operation {} of the workload) gave {} on rank {} and {} on rank {}",
                      first.op, k, first.digest, ranks[0].rank, other.digest, ranks[i].rank));
    }
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  return diagnosis;
}

void check_expectations(const Scenario& scenario, RunReport& report) {
  const Expectation& expect = scenario.expect;
  auto fail = [&](std::string line) { report.failures.push_back(std::move(line)); };
  if (report.on_hosts && !expect.met_by(report.diagnosis.verdict) && hidden_on_hosts(expect) &&
      report.diagnosis.verdict != "ok") {
    report.unchecked.push_back(
        fmt::format("the verdict {}: it takes a look into the devices; from outside it is {}",
                    expect.verdict_text(), report.diagnosis.verdict));
  } else if (!expect.met_by(report.diagnosis.verdict)) {
    fail(fmt::format("the verdict is {}, expected {}", report.diagnosis.verdict,
                     expect.verdict_text()));
  } else {
    const auto& names = report.diagnosis.names;
    for (const std::string& name : expect.verdict_names) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      fail(fmt::format("the verdict does not name {}; it names {}", name,
                       names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "))));
    }
  }
  for (const RankReport& rank : report.ranks) {
    const RankExpectation* expected = expectation_of(expect, rank.rank);
    if (expected && !as_expected(rank, *expected)) {
      fail(fmt::format("rank {}: {}, expected {}", rank.rank, how(rank), wanted(*expected)));
    }
  }
  for (const FaultReport& fault : report.faults) {
    if (!fault.failure.empty()) {
      fail(fmt::format("the fault {} ({}) {}{}", fault.name, fault.when, fault.failure,
                       fault.evidence.empty() ? "" : ": " + fault.evidence));
    }
  }
  int64_t took = report.ended_ns - report.started_ns - report.waited_ns;
  if (expect.within && took > expect.within->count()) {
    fail(fmt::format("the run took {}, expected at most {}", format_ns(took),
                     format_duration(*expect.within)));
  }
  report.passed = report.failures.empty() && !report.interrupted;
}

}  // namespace railyard::harness
