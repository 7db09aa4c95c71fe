#include "fabric/verb.h"

#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

constexpr const char* kNames[] = {
    "",
#define X(name) "ibv_" #name,
    RAILYARD_VERBS(X)
#undef X
};

}  // namespace

const char* verb_name(Verb verb) {
  auto index = static_cast<uint32_t>(verb);
  return index < static_cast<uint32_t>(Verb::count) ? kNames[index] : "";
}

Verb verb_by_name(const std::string& name) {
  for (uint32_t i = 1; i < static_cast<uint32_t>(Verb::count); ++i) {
    if (name == kNames[i]) return static_cast<Verb>(i);
  }
  return Verb::none;
}

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  for (uint32_t verb = 1; verb < static_cast<uint32_t>(Verb::count); ++verb) {
    names.push_back(verb_name(static_cast<Verb>(verb)));
  }
  return names;
}

}  // namespace railyard::fabric
