#include "topology/cabling.h"

namespace railyard::harness {

Plug plug_of(const fabric::ClusterSpec& cluster, const std::string& end) {
  size_t slash = end.find('/');
  for (size_t i = 0; slash != std::string::npos && i < cluster.nodes.size(); ++i) {
    if (cluster.nodes[i].name == end.substr(0, slash)) {
      return {static_cast<int>(i), end.substr(slash + 1)};
    }
  }
  return {-1, end};
}

Cabling::Cabling(const fabric::ClusterSpec& cluster) {
  for (const fabric::CableSpec& cable : cluster.cables) {
    Cable made{cable.name, {plug_of(cluster, cable.ends[0]), plug_of(cluster, cable.ends[1])}};
    for (const Plug& end : made.ends) {
      if (end.node >= 0) by_plug_.emplace(end, cables_.size());
    }
    cables_.push_back(std::move(made));
  }
}

const Cabling::Cable* Cabling::cable_of(const Plug& plug) const {
  auto found = by_plug_.find(plug);
  return found == by_plug_.end() ? nullptr : &cables_[found->second];
}

std::optional<Plug> Cabling::far_end(const Plug& plug) const {
  const Cable* cable = cable_of(plug);
  if (cable == nullptr) return {};
  return cable->ends[cable->ends[0] == plug ? 1 : 0];
}

bool Cabling::connected(const Plug& a, const Plug& b) const {
  std::optional<Plug> far = far_end(a);
  if (!far) return false;
  return far->node >= 0 ? *far == b : far == far_end(b);
}

}  // namespace railyard::harness
