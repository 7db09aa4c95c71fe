#include "fuzz/input.h"

#include <exception>

#include "railyard/scenario.h"

namespace railyard::harness::fuzz {

namespace {

constexpr char kFile[] = "fuzzed.json";
constexpr int kRanks = 2;

void parse(Input kind, const std::string& text) {
  switch (kind) {
    case Input::scenario:
      parse_scenario(kFile, text);
      break;
    case Input::matrix:
      parse_matrix(kFile, text, kRanks);
      break;
    case Input::hostfile:
      parse_hostfile(kFile, text);
      break;
  }
}

}  // namespace

std::string answer(Input kind, const std::string& text) {
  try {
    parse(kind, text);
  } catch (const InputError& error) {
    std::string line = error.what();
    if (line.find('\n') != std::string::npos) return "more than one line: " + line;
    // A file that the text names has its own name in the answer.
    return line.find(": ") == std::string::npos ? "no place: " + line : "";
  } catch (const std::exception& error) {
    return std::string("not an input error: ") + error.what();
  }
  return "";
}

}  // namespace railyard::harness::fuzz
