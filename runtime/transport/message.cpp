#include "transport/message.h"

#include <fmt/format.h>

#include <cstring>
#include <new>

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

size_t write_brief(std::byte* slot, const BriefHeader& header, const std::byte* payload) {
  size_t bytes = header.payload_bytes;
  new (slot) BriefHeader(header);
  // One element, mostly: calling memcpy takes longer than to copy it.
  if (bytes == sizeof(uint32_t)) {
    std::memcpy(slot + sizeof header, payload, sizeof(uint32_t));
  } else if (bytes > 0) {
    std::memcpy(slot + sizeof header, payload, bytes);
  }
  return sizeof header + bytes;
}

size_t write_message(std::byte* slot, const MessageHeader& header, const std::byte* payload) {
  if (BriefHeader::fits(header))
    return write_brief(slot, BriefHeader::of(header.stream, header.tag, header.credits), payload);
  new (slot) MessageHeader(header);
  if (header.payload_bytes > 0) std::memcpy(slot + kHeaderBytes, payload, header.payload_bytes);
  return kHeaderBytes + header.payload_bytes;
}

const MessageHeader& read_message(std::byte* slot) {
  BriefHeader brief;
  std::memcpy(&brief, slot, sizeof brief);
  if (brief.kind != MessageKind::brief) return *reinterpret_cast<const MessageHeader*>(slot);
  std::memmove(slot + kHeaderBytes, slot + sizeof brief,
               std::min<size_t>(brief.payload_bytes, BriefHeader::kMostPayload));
  auto& header = *new (slot) MessageHeader;
  header.kind = MessageKind::data;
  header.payload_bytes = brief.payload_bytes;
  header.stream = brief.stream;
  header.tag = {brief.payload_bytes, brief.operation, brief.dtype, -1};
  header.credits = brief.credits;
  return header;
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
