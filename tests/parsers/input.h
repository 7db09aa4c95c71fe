// What users write, given to its parser.
#pragma once

#include <string>

namespace railyard::fuzz {

enum class Input {
  scenario,
  matrix,            // as `railyard` reads a device matrix
  hostfile,          // as `railyard run --hosts` does
  profile,           // merged over a shipped one, as a scenario's overrides are
  runtime_matrix,    // as a rank reads its device matrix
  runtime_hostfile,  // as a rank reads its hostfile
};
inline constexpr int kInputs = 6;

// How the parser answered: empty when it took the text, or refused it with one line that names the
// place; otherwise what is wrong with its answer.
std::string answer(Input kind, const std::string& text);

}  // namespace railyard::fuzz
