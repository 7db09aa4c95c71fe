#include "hardware/outside.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace railyard::harness {

Diagnosis with_moved_cables(Diagnosis diagnosis, const fabric::Fabric& model) {
  bool open = diagnosis.verdict == "stuck" || diagnosis.verdict == "error" ||
              diagnosis.verdict == "completion-error";
  if (!open) return diagnosis;
  std::vector<std::string> out, moved, ports;
  fabric::Snapshot now = model.snapshot();
  for (const fabric::CableView& cable : now.cables) {
    bool as_built =
        cable.ports[0] == cable.original_ports[0] && cable.ports[1] == cable.original_ports[1];
    if (cable.plugged && as_built) continue;
    (cable.plugged ? moved : out).push_back(cable.name);
    for (int port :
         {cable.original_ports[0], cable.original_ports[1], cable.ports[0], cable.ports[1]}) {
      if (port >= 0) ports.push_back(model.port_name(port));
    }
  }
  if (out.empty() && moved.empty()) return diagnosis;
  const std::vector<std::string>& cables = out.empty() ? moved : out;
  diagnosis.details.insert(diagnosis.details.begin(), diagnosis.headline);
  diagnosis.verdict = out.empty() ? "crossed-rails" : "cable-unplugged";
  diagnosis.headline = fmt::format("{} {}, and the ranks did not go on", fmt::join(cables, ", "),
                                   out.empty() ? "was put elsewhere" : "was unplugged");
  for (const auto& names : {ports, cables}) {
    diagnosis.names.insert(diagnosis.names.begin(), names.begin(), names.end());
  }
  return diagnosis;
}

}  // namespace railyard::harness
