#include "hardware/outside.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace railyard::harness {

Diagnosis with_moved_cables(Diagnosis diagnosis, const fabric::Snapshot& model) {
  bool open = diagnosis.verdict == "stuck" || diagnosis.verdict == "error" ||
              diagnosis.verdict == "completion-error";
  if (!open) return diagnosis;
  std::vector<std::string> out, moved;
  for (const fabric::CableView& cable : model.cables) {
    bool as_built =
        cable.ports[0] == cable.original_ports[0] && cable.ports[1] == cable.original_ports[1];
    if (!cable.plugged) {
      out.push_back(cable.name);
    } else if (!as_built) {
      moved.push_back(cable.name);
    }
  }
  if (out.empty() && moved.empty()) return diagnosis;
  const std::vector<std::string>& cables = out.empty() ? moved : out;
  diagnosis.details.insert(diagnosis.details.begin(), diagnosis.headline);
  diagnosis.verdict = out.empty() ? "crossed-rails" : "cable-unplugged";
  diagnosis.headline = fmt::format("{} {}, and the ranks did not go on", fmt::join(cables, ", "),
                                   out.empty() ? "was put elsewhere" : "was unplugged");
  diagnosis.names.insert(diagnosis.names.begin(), cables.begin(), cables.end());
  return diagnosis;
}

}  // namespace railyard::harness
