// A short seeded run: what comes along, broken in small ways, is taken or refused with one line.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <vector>

#include "input.h"
#include "railyard/fabric.h"
#include "railyard/scenario.h"

namespace railyard::fuzz {
namespace {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : source_(seed) {}

  std::string mutate(std::string text) {
    for (uint64_t times = 1 + below(3); times > 0; --times) change(text);
    return text;
  }

 private:
  uint64_t below(uint64_t count) { return count == 0 ? 0 : source_() % count; }

  void change(std::string& text) {
    static const std::vector<std::string> pieces = {"null",
                                                    "true",
                                                    "-1",
                                                    "1e99",
                                                    "18446744073709551616",
                                                    "0.5",
                                                    "\"\"",
                                                    "[]",
                                                    "{}",
                                                    "\"c1\"",
                                                    "\"0s\"",
                                                    "\"9ms\"",
                                                    "{\"any\": \"cables\"}",
                                                    "{\"between\": [1, 2]}",
                                                    ",",
                                                    ":",
                                                    "}",
                                                    "]",
                                                    "\"node0\"",
                                                    "\"\\u0000\"",
                                                    "\xff",
                                                    "\"10000000000s\""};
    size_t at = below(text.size()), length = below(12);
    switch (below(5)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, pieces[below(pieces.size())]);
        break;
      case 2:
        text.insert(at, text.substr(below(text.size()), length));
        break;
      case 3:
        if (!text.empty()) text[at] = static_cast<char>(source_());
        break;
      default:
        replace_value(text);
    }
  }

  // A value after a colon becomes another: what stays well-formed gets further.
  void replace_value(std::string& text) {
    static const std::vector<std::string> values = {
        "null", "-1",    "3",       "1e99",          "[]",
        "{}",   "\"x\"", "\"5ms\"", "true",          "[\"c1\", \"c1\"]",
        "[1]",  "0.5",   "\"\"",    "{\"any\": [1]}"};
    size_t colon = text.find(": ", below(text.size()));
    if (colon == std::string::npos) return;
    size_t end = text.find_first_of(",}]\n", colon);
    if (end == std::string::npos) return;
    text.replace(colon + 2, end - colon - 2, values[below(values.size())]);
  }

  std::mt19937_64 source_;
};

void run(Input kind, const std::vector<std::string>& texts, int each, uint64_t seed) {
  Mutator mutator(seed);
  for (const std::string& text : texts) {
    for (int i = 0; i < each; ++i) {
      std::string mutant = mutator.mutate(text);
      ASSERT_EQ(answer(kind, mutant), "") << mutant;
    }
  }
}

TEST(Mutation, OfScenarios) {
  std::vector<std::string> texts;
  for (const std::string& file : harness::find_scenarios({RAILYARD_SCENARIOS})) {
    std::ifstream stream(file);
    texts.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    ASSERT_EQ(answer(Input::scenario, texts.back()), "") << file;
  }
  run(Input::scenario, texts, 25, 20261121);
}

const std::vector<std::string> kMatrices = {
    R"([[null, "en3"], ["en3", null]])", R"([[null, ["en3", "en4"]], [["en3", "en4"], null]])",
    R"([[null, "en3", "en4"], ["en3", null, "en5"], ["en4", "en5", null]])"};
const std::vector<std::string> kHostfiles = {
    R"([{"ssh": "a", "ips": ["10.0.0.1"]}, {"ssh": "b", "ips": ["10.0.0.2"]}])",
    R"({"backend": "jaccl", "hosts": [{"ssh": "a", "ips": ["10.0.0.1"], "rdma": [null, "rdma_en5"]}, {"ssh": "b", "ips": [], "rdma": [["rdma_en3"], null]}]})"};

TEST(Mutation, OfMatrices) {
  run(Input::matrix, kMatrices, 1000, 20261122);
  run(Input::runtime_matrix, kMatrices, 1000, 20261122);
}

TEST(Mutation, OfHostfiles) {
  run(Input::hostfile, kHostfiles, 1000, 20261123);
  run(Input::runtime_hostfile, kHostfiles, 1000, 20261123);
}

TEST(Mutation, OfProfiles) {
  std::vector<std::string> texts;
  for (const std::string& name : fabric::shipped_profiles()) {
    texts.push_back(fabric::profile_text(name));
    ASSERT_EQ(answer(Input::profile, texts.back()), "") << name;
  }
  run(Input::profile, texts, 500, 20261124);
}

}  // namespace
}  // namespace railyard::fuzz
