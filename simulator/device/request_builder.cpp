#include "device/request_builder.h"

namespace railyard::sim {

void RequestBuilder::set_inline(const ibv_data_buf* pieces, size_t count) {
  BuiltRequest& built = last();
  built.inline_data.clear();
  for (size_t i = 0; i < count; ++i) {
    auto* bytes = static_cast<const std::byte*>(pieces[i].addr);
    built.inline_data.insert(built.inline_data.end(), bytes, bytes + pieces[i].length);
  }
  built.pieces.assign(1, {reinterpret_cast<uint64_t>(built.inline_data.data()),
                          static_cast<uint32_t>(built.inline_data.size()), 0});
  built.request.send_flags |= IBV_SEND_INLINE;
}

ibv_send_wr* RequestBuilder::chain() {
  for (size_t i = 0; i < used_; ++i) {
    BuiltRequest& built = requests_[i];
    built.request.sg_list = built.pieces.data();
    built.request.num_sge = static_cast<int>(built.pieces.size());
    built.request.next = i + 1 < used_ ? &requests_[i + 1].request : nullptr;
  }
  return &requests_[0].request;
}

}  // namespace railyard::sim
