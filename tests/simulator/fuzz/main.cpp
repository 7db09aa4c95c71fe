// railyard-verbs-fuzz: random legal and illegal verbs of several processes against a model of the
// rules. See README.md.
#include <fmt/format.h>
#include <sys/random.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "plan.h"
#include "run.h"

namespace railyard::fuzz {
namespace {

struct Options {
  uint64_t seed = 0;
  int steps = 300, runs = 1;
  double seconds = 0;
  std::string profile = "connectx";
  std::vector<int> only;
  bool shrink = true, list = false;
};

// Leaves out what the violation does not need: halves first, then ever smaller parts.
std::vector<bool> shrink(const Plan& plan, int last, std::vector<bool> keep) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(40);
  if (keep.empty()) keep.assign(plan.steps.size(), true);
  for (size_t i = static_cast<size_t>(last) + 1; i < keep.size(); ++i) keep[i] = false;
  for (size_t part = keep.size() / 2; part >= 1; part /= 2) {
    for (size_t at = 0; at < keep.size(); at += part) {
      if (std::chrono::steady_clock::now() > deadline) return keep;
      std::vector<bool> fewer = keep;
      auto end = std::min(at + part, fewer.size());
      if (std::none_of(fewer.begin() + long(at), fewer.begin() + long(end),
                       [](bool kept) { return kept; }))
        continue;
      std::fill(fewer.begin() + long(at), fewer.begin() + long(end), false);
      if (run(plan, fewer).violation) keep = fewer;
    }
  }
  return keep;
}

std::string numbers(const std::vector<bool>& keep) {
  std::string out;
  for (size_t i = 0; i < keep.size(); ++i) {
    if (keep[i]) out += fmt::format("{}{}", out.empty() ? "" : ",", i);
  }
  return out;
}

void list(const Plan& plan, const std::vector<bool>& keep, int last) {
  for (size_t i = 0; i < plan.connections.size(); ++i) {
    fmt::print("connection {}: {}\n", i, describe(plan.connections[i]));
  }
  for (const Step& step : plan.steps) {
    bool kept = keep.empty() || keep[static_cast<size_t>(step.number)];
    if (kept && step.number <= last) fmt::print("{}\n", describe(step, plan));
  }
}

void report(const Plan& plan, std::vector<bool> keep, Outcome outcome, const Options& options) {
  fmt::print("violation at step {}: {}\n", outcome.step, *outcome.violation);
  if (options.shrink) {
    std::vector<bool> fewer = shrink(plan, outcome.step, keep);
    Outcome again = run(plan, fewer);
    if (again.violation) {
      keep = fewer;
      outcome = again;
    } else {
      fmt::print("(it does not always happen with fewer steps)\n");
    }
  }
  list(plan, keep, outcome.step);
  fmt::print("violated at step {}: {}\n", outcome.step, *outcome.violation);
  std::string only = keep.empty() ? "" : " --only " + numbers(keep);
  fmt::print("replay: railyard-verbs-fuzz --profile {} --seed {} --steps {}{}\n", plan.profile,
             plan.seed, plan.steps.size(), only);
}

void add(Model::Marks& sum, const Model::Marks& more) {
  sum.sends += more.sends;
  sum.receives += more.receives;
  sum.refused += more.refused;
  sum.delivered += more.delivered;
  sum.dropped += more.dropped;
  sum.writes += more.writes;
  sum.reads += more.reads;
  sum.atomics += more.atomics;
  sum.errors += more.errors;
  sum.flushed += more.flushed;
  sum.loosened += more.loosened;
  sum.cuts += more.cuts;
  sum.shared += more.shared;
  sum.bound += more.bound;
  sum.reregistered += more.reregistered;
  sum.unready += more.unready;
  sum.swaps += more.swaps;
  sum.extended += more.extended;
  sum.apart += more.apart;
}

int fuzz(const Options& options) {
  auto begin = std::chrono::steady_clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  Model::Marks sum;
  int done = 0;
  for (; options.seconds > 0 ? elapsed() < options.seconds : done < options.runs; ++done) {
    Plan plan =
        make_plan(options.seed + static_cast<uint64_t>(done), options.steps, options.profile);
    std::vector<bool> keep;
    if (!options.only.empty()) {
      keep.assign(plan.steps.size(), false);
      for (int number : options.only) {
        if (number >= 0 && number < options.steps) keep[static_cast<size_t>(number)] = true;
      }
    }
    if (options.list) {
      list(plan, keep, options.steps);
      continue;
    }
    Outcome outcome = run(plan, keep);
    add(sum, outcome.marks);
    if (outcome.violation) {
      report(plan, keep, outcome, options);
      return 1;
    }
  }
  fmt::print("{} runs of {} steps in {:.1f} s: {} sends and {} receives posted, {} refused\n", done,
             options.steps, elapsed(), sum.sends, sum.receives, sum.refused);
  fmt::print(
      "{} messages met a receive ({} of them a shared one, {} by XRC, {} of these between three "
      "processes), {} dropped, {} found none "
      "ready; ",
      sum.delivered, sum.shared, sum.extended, sum.apart, sum.dropped, sum.unready);
  fmt::print("{} writes, {} reads, {} atomics, {} through a window, {} regions changed\n",
             sum.writes, sum.reads, sum.atomics, sum.bound, sum.reregistered);
  fmt::print("{} errors, {} flushes, {} breaks under way, {} cables pulled or crossed, {} swaps\n",
             sum.errors, sum.flushed, sum.loosened, sum.cuts, sum.swaps);
  return 0;
}

}  // namespace
}  // namespace railyard::fuzz

int main(int argc, char** argv) {
  using namespace railyard::fuzz;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options;
  bool any_seed = true;
  CLI::App app("Random verbs against a model of the rules");
  app.add_option("--seed", options.seed, "of the first run; runs that follow count up from it")
      ->each([&](auto) { any_seed = false; });
  app.add_option("--steps", options.steps, "of each run")->check(CLI::Range(1, 5000));
  app.add_option("--runs", options.runs, "how many");
  app.add_option("--seconds", options.seconds, "instead of a number of runs");
  app.add_option("--profile", options.profile, "connectx, permissive or apple-thunderbolt5");
  app.add_option("--only", options.only, "the steps to take, by number; all others are left out")
      ->delimiter(',');
  app.add_flag("!--no-shrink", options.shrink, "report a violation as it was found");
  app.add_flag("--list", options.list, "print the steps and take none");
  CLI11_PARSE(app, argc, argv);
  if (any_seed && getrandom(&options.seed, 4, 0) != 4) return 2;
  fmt::print("seed {} profile {}\n", options.seed, options.profile);
  try {
    return fuzz(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "railyard-verbs-fuzz: {}\n", error.what());
    return 2;
  }
}
