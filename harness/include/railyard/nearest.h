// The known name that a misspelt one most likely means.
#pragma once

#include <string>
#include <vector>

namespace railyard::harness {

// The candidate with the fewest edits (insert, delete, replace, exchange of neighbours), or "" when
// none is near enough to be meant.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

// "did you mean 'x'?", "known here: a, b, c", or "there is none here".
std::string suggest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace railyard::harness
