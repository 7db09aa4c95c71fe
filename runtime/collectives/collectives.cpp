#include "collectives/collectives.h"

namespace railyard {

OperationTag Call::tag() const {
  OperationTag tag;
  tag.bytes = bytes;
  tag.kind = kind;
  tag.root = static_cast<int16_t>(root);
  switch (kind) {
    case OperationKind::all_sum:
    case OperationKind::all_max:
    case OperationKind::all_min:
    case OperationKind::sum_scatter:
      tag.dtype = static_cast<uint8_t>(dtype);
      break;
    default:
      break;
  }
  return tag;
}

}  // namespace railyard
