// The verbs that ask: what the rules say, then the device's own, then a line of the record.
#include <infiniband/verbs.h>

#include <cerrno>
#include <cstring>

#include "passthrough/device.h"
#include "passthrough/real.h"
#include "passthrough/record.h"
#include "verbs/export.h"

#undef ibv_query_port

using namespace railyard::passthrough;

namespace {

// A verb that asks a device, by `ask`, and `tell`s the record what it was answered.
template <typename Ask, typename Tell>
int query(Point point, ibv_context* context, const Ask& ask, const Tell& tell) {
  const char* device = name_of_device(context);
  Inside inside(point);
  if (int error = enter(point, device)) return errno = error;
  int result = ask();
  Line line(device, name_of(point));
  line.add("errno", errno_of(result));
  if (result == 0) tell(line);
  return result;
}

template <typename Ask>
int query_port(ibv_context* context, ibv_port_attr* out, const Ask& ask) {
  return query(Point::query_port, context, ask, [&](Line& line) {
    line.add("state", out->state)
        .add("gids", out->gid_tbl_len)
        .add("message_bytes", out->max_msg_sz)
        .add("link_layer", out->link_layer);
  });
}

}  // namespace

RAILYARD_VERB ibv_device** ibv_get_device_list(int* count) {
  Inside inside(Point::get_device_list);
  if (int error = enter(Point::get_device_list, "")) {
    if (count) *count = 0;
    return errno = error, nullptr;
  }
  int found = 0;
  ibv_device** list = real<decltype(&ibv_get_device_list)>("ibv_get_device_list")(&found);
  Line("", "ibv_get_device_list").add("errno", list ? 0 : errno).add("devices", found);
  if (count) *count = found;
  return list;
}

RAILYARD_VERB int ibv_query_device(ibv_context* context, ibv_device_attr* out) {
  static auto ask = real<int (*)(ibv_context*, ibv_device_attr*)>("ibv_query_device");
  return query(
      Point::query_device, context, [&] { return ask(context, out); },
      [&](Line& line) {
        line.add("queue_pairs", out->max_qp)
            .add("protection_domains", out->max_pd)
            .add("completion_queues", out->max_cq)
            .add("memory_regions", out->max_mr)
            .add("requests", out->max_qp_wr)
            .add("completions", out->max_cqe)
            .add("sges", out->max_sge)
            .add("region_bytes", static_cast<int64_t>(out->max_mr_size));
      });
}

// The symbol's callers have the structure as it was before `flags` had a successor.
RAILYARD_VERB int ibv_query_port(ibv_context* context, uint8_t port, _compat_ibv_port_attr* out) {
  static auto ask = real<int (*)(ibv_context*, uint8_t, _compat_ibv_port_attr*)>("ibv_query_port");
  return query_port(context, reinterpret_cast<ibv_port_attr*>(out),
                    [&] { return ask(context, port, out); });
}

RAILYARD_VERB int ibv_query_gid(ibv_context* context, uint8_t port, int index, ibv_gid* out) {
  static auto ask = real<int (*)(ibv_context*, uint8_t, int, ibv_gid*)>("ibv_query_gid");
  const char* device = name_of_device(context);
  Inside inside(Point::query_gid);
  if (int error = enter(Point::query_gid, device)) return errno = error, -1;
  int result = ask(context, port, index, out);
  const Rule* row = result == 0 ? told_row(device, index, true) : nullptr;
  if (row) std::memcpy(out->raw, row->gid.data(), sizeof(out->raw));
  return result;
}

namespace railyard::passthrough {

int query_port_op(ibv_context* context, uint8_t port, ibv_port_attr* out, size_t bytes) {
  return ::query_port(context, out,
                      [&] { return opened(context).query_port(context, port, out, bytes); });
}

}  // namespace railyard::passthrough
