// What users write, given to its parser.
#pragma once

#include <string>

namespace railyard::harness::fuzz {

enum class Input { scenario, matrix, hostfile };

// How the parser answered: empty when it took the text, or refused it with one line that names the
// file; otherwise what is wrong with its answer.
std::string answer(Input kind, const std::string& text);

}  // namespace railyard::harness::fuzz
