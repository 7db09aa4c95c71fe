#include "input.h"

#include <exception>

#include "railyard/config.h"
#include "railyard/error.h"
#include "railyard/fabric.h"
#include "railyard/scenario.h"

namespace railyard::fuzz {
namespace {

constexpr char kFile[] = "fuzzed.json";
constexpr int kRanks = 2;

void parse(Input kind, const std::string& text) {
  switch (kind) {
    case Input::scenario:
      harness::parse_scenario(kFile, text);
      break;
    case Input::matrix:
      harness::parse_matrix(kFile, text, kRanks);
      break;
    case Input::hostfile:
      harness::parse_hostfile(kFile, text);
      break;
    case Input::profile:
      fabric::measured_link("connectx", text);
      break;
    case Input::runtime_matrix:
      // Text that does not begin like JSON would be the name of a file.
      if (text.starts_with('[')) load_device_matrix(text);
      break;
    case Input::runtime_hostfile:
      if (text.starts_with('[') || text.starts_with('{')) load_hostfile(text);
      break;
  }
}

std::string check(const std::string& line) {
  if (line.find('\n') != std::string::npos) return "more than one line: " + line;
  // A file that the text names has its own name in the answer.
  return line.find(": ") == std::string::npos ? "no place: " + line : "";
}

}  // namespace

std::string answer(Input kind, const std::string& text) {
  try {
    parse(kind, text);
  } catch (const harness::InputError& error) {
    return check(error.what());
  } catch (const fabric::Error& error) {
    return check(error.what());
  } catch (const ConfigurationError& error) {
    return check(error.what());
  } catch (const std::exception& error) {
    return std::string("not an input error: ") + error.what();
  }
  return "";
}

}  // namespace railyard::fuzz
