#include "device/request_builder.h"

#include "device/payload.h"

namespace railyard::sim {

void RequestBuilder::set_inline(const ibv_data_buf* pieces, size_t count) {
  BuiltRequest& built = last();
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += pieces[i].length;
  if (built.inline_data.size() < bytes) built.inline_data.resize(bytes);
  std::byte* place = built.inline_data.data();
  built.set_piece({reinterpret_cast<uint64_t>(place), static_cast<uint32_t>(bytes), 0});
  for (size_t i = 0; i < count; place += pieces[i++].length) {
    copy_few(place, static_cast<const std::byte*>(pieces[i].addr), pieces[i].length);
  }
  built.request.send_flags |= IBV_SEND_INLINE;
}

ibv_send_wr* RequestBuilder::chain() {
  for (size_t i = 0; i < used_; ++i) {
    BuiltRequest& built = requests_[i];
    built.request.sg_list = built.request.num_sge == 1 ? &built.piece : built.pieces.data();
    built.request.next = i + 1 < used_ ? &requests_[i + 1].request : nullptr;
  }
  return &requests_[0].request;
}

}  // namespace railyard::sim
