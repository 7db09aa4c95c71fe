// The verdicts: why a run ended as it did, by name.
#pragma once

#include <string>
#include <vector>

namespace railyard::harness {

struct VerdictPage {
  const char* name;
  const char* text;  // Markdown: what it means, how it looks on real hardware, what mends it
};

// Every verdict, each with its page.
const std::vector<VerdictPage>& verdict_pages();

// nullptr: there is no such verdict.
const VerdictPage* find_verdict(const std::string& name);

std::vector<std::string> verdict_names();

}  // namespace railyard::harness
