#include <fmt/format.h>

#include <bit>
#include <cerrno>
#include <iterator>

#include "diagnosis/rules.h"
#include "railyard/fabric_names.h"

namespace railyard::harness {

namespace {

// The port that a rank's error is about, -1: none.
int port_in_error(const View& view, const RankEvidence& rank) {
  return rank.error ? view.port_of_device(rank.rank, rank.error->device) : -1;
}

uint32_t rows_of(const View& view, const RankEvidence& rank) {
  return view.snapshot().ports[static_cast<size_t>(port_in_error(view, rank))].gid_rows;
}

// A table is filled from row 0 on, unless somebody has changed it.
bool has_gaps(uint32_t rows) { return rows == 0 || !std::has_single_bit(rows + 1); }

std::string text_of(uint32_t rows) {
  std::string text;
  for (int row = 0; rows >> row != 0; ++row) {
    if (rows >> row & 1) text += fmt::format("{}{}", text.empty() ? "" : ", ", row);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::optional<Diagnosis> context_limit(const View& view) {
  Diagnosis diagnosis{"context-limit", "", {}, {}};
  for (const fabric::ProcessView& process : view.snapshot().processes) {
    if (!process.alive || process.activity != fabric::Activity::blocked ||
        process.verb != "ibv_open_device" || process.blocked_device < 0) {
      continue;
    }
    const fabric::DeviceView& device =
        view.snapshot().devices[static_cast<size_t>(process.blocked_device)];
    std::string port = view.port_name(device.port);
    std::string holders;
    for (const fabric::ContextView& context : view.snapshot().contexts) {
      if (context.device != process.blocked_device) continue;
      int holder = view.rank_of_process(context.process);
      const auto& who = view.snapshot().processes[static_cast<size_t>(context.process)];
      holders += fmt::format("{}rank {} (pid {}){}", holders.empty() ? "" : ", ", holder, who.pid,
                             context.process == process.index ? ", the waiter itself" : "");
      add_name(diagnosis, fmt::format("rank {}", holder));
    }
    if (holders.empty()) holders = "nobody that the fabric knows";
    std::string line = fmt::format(
        "rank {} (pid {}) waits in ibv_open_device for {}, which allows {} context{} and is held "
        "by {}",
        process.node, process.pid, port, device.context_limit, device.context_limit == 1 ? "" : "s",
        holders);
    if (diagnosis.headline.empty()) {
      diagnosis.headline = line;
    } else {
      diagnosis.details.push_back(line);
    }
    add_name(diagnosis, fmt::format("rank {}", process.node));
    add_name(diagnosis, port);
    add_name(diagnosis, device.name);
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  return diagnosis;
}

std::optional<Diagnosis> limit_reached(const View& view) {
  for (const fabric::DeviceView& device : view.snapshot().devices) {
    for (size_t each = 0; each < std::size(device.refusals); ++each) {
      if (device.refusals[each] == 0) continue;
      auto resource = static_cast<fabric::Resource>(each);
      bool contexts = resource == fabric::Resource::contexts;
      Diagnosis diagnosis{contexts ? "context-limit" : "limit-reached", "", {}, {}};
      diagnosis.headline =
          fmt::format("{} refused rank {} a {}: it has given out as many as it has",
                      view.port_name(device.port), device.node, fabric::resource_name(resource));
      add_name(diagnosis, fmt::format("rank {}", device.node));
      add_name(diagnosis, view.port_name(device.port));
      add_name(diagnosis, device.name);
      return diagnosis;
    }
  }
  return std::nullopt;
}

std::optional<Diagnosis> device_broken(const View& view) {
  for (const fabric::DeviceView& device : view.snapshot().devices) {
    if (!device.failed) continue;
    Diagnosis diagnosis{"device-broken", "", {}, {}};
    diagnosis.headline =
        fmt::format("the device {} of rank {} is broken: its queue pairs are in error",
                    view.port_name(device.port), device.node);
    add_name(diagnosis, view.port_name(device.port));
    add_name(diagnosis, fmt::format("rank {}", device.node));
    return diagnosis;
  }
  return std::nullopt;
}

std::optional<Diagnosis> address_unknown(const View& view) {
  const RankEvidence* suspect = nullptr;
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (port_in_error(view, rank) < 0 || rank.error->code != "device") continue;
    if (rank.error->error_number != EINVAL && rank.error->error_number != 0) continue;
    bool connecting = rank.error->message.find("RTR") != std::string::npos;
    bool gaps = has_gaps(rows_of(view, rank));
    // A table with a gap says more than a refused address.
    if (gaps || (connecting && !suspect)) suspect = &rank;
    if (gaps) break;
  }
  if (!suspect) return std::nullopt;
  std::string port = view.port_name(port_in_error(view, *suspect));
  Diagnosis diagnosis{"address-unknown", "", {}, {}};
  diagnosis.headline =
      fmt::format("rank {} was refused an address on {}, whose GID table has the rows {}: {}",
                  suspect->rank, port, text_of(rows_of(view, *suspect)), suspect->error->message);
  diagnosis.details.push_back(
      "look the row up when the queue pair is connected, or give the interface its address back");
  add_name(diagnosis, port);
  add_name(diagnosis, fmt::format("rank {}", suspect->rank));
  return diagnosis;
}

}  // namespace railyard::harness
