#include "transport/message.h"

#include <fmt/format.h>

namespace railyard {

std::string to_string(const OperationTag& tag) {
  switch (tag.kind) {
    case OperationKind::all_sum:
      return fmt::format("all_sum of {} bytes of {}", tag.bytes,
                         name(static_cast<Dtype>(tag.dtype)));
    case OperationKind::barrier:
      return "barrier";
    case OperationKind::point_to_point:
      return fmt::format("send/recv of {} bytes", tag.bytes);
    case OperationKind::none:
      break;
  }
  return "nothing";
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
