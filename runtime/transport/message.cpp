#include "transport/message.h"

#include <fmt/format.h>

namespace railyard {

const char* name(OperationKind kind) {
  switch (kind) {
    case OperationKind::all_sum:
      return "all_sum";
    case OperationKind::all_max:
      return "all_max";
    case OperationKind::all_min:
      return "all_min";
    case OperationKind::all_gather:
      return "all_gather";
    case OperationKind::sum_scatter:
      return "sum_scatter";
    case OperationKind::broadcast:
      return "broadcast";
    case OperationKind::all_to_all:
      return "all_to_all";
    case OperationKind::barrier:
      return "barrier";
    case OperationKind::point_to_point:
      return "send/recv";
    case OperationKind::none:
      break;
  }
  return "nothing";
}

std::string to_string(const OperationTag& tag) {
  std::string text = name(tag.kind);
  if (tag.kind == OperationKind::barrier || tag.kind == OperationKind::none) return text;
  text += fmt::format(" of {} bytes", tag.bytes);
  if (tag.dtype != OperationTag::kNoDtype) {
    text += fmt::format(" of {}", name(static_cast<Dtype>(tag.dtype)));
  }
  if (tag.root >= 0) text += fmt::format(" from rank {}", tag.root);
  return text;
}

uint32_t Cut::count(size_t bytes) const {
  uint32_t messages = 0;
  do {
    bytes -= next(bytes);
    ++messages;
  } while (bytes > 0);
  return messages;
}

}  // namespace railyard
