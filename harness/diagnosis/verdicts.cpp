#include <iterator>

#include "generated/verdict_pages.h"

namespace railyard::harness {

const std::vector<VerdictPage>& verdict_pages() {
  static const std::vector<VerdictPage> pages(std::begin(kVerdictPages), std::end(kVerdictPages));
  return pages;
}

const VerdictPage* find_verdict(const std::string& name) {
  for (const VerdictPage& page : kVerdictPages) {
    if (name == page.name) return &page;
  }
  return nullptr;
}

std::vector<std::string> verdict_names() {
  std::vector<std::string> names;
  for (const VerdictPage& page : kVerdictPages) names.emplace_back(page.name);
  return names;
}

}  // namespace railyard::harness
