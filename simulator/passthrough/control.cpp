// The verbs of the control path: what the rules say, then the device's own, then a line of the
// record.
#include <infiniband/verbs.h>

#include <cerrno>
#include <cstring>

#include "passthrough/device.h"
#include "passthrough/drops.h"
#include "passthrough/real.h"
#include "passthrough/record.h"
#include "verbs/export.h"

#undef ibv_query_port
#undef ibv_reg_mr
#undef ibv_reg_mr_iova

using namespace railyard::passthrough;

namespace {

const char* name_of_device(const ibv_context* context) { return device_of(context).name.c_str(); }

// Verbs that return an errno, or -1 with errno set.
int errno_of(int result) { return result > 0 ? result : result < 0 ? errno : 0; }

// A verb that makes an object of `resource`: refused by a rule or a limit, or asked of the device.
template <typename Object, typename Make>
Object* make(Point point, Resource resource, Device& device, const Make& ask) {
  Inside inside(point);
  int error = enter(point, device.name.c_str()).error;
  if (error == 0) error = refusal(device, resource);
  if (error != 0) {
    Line(device.name.c_str(), name_of(point)).add("errno", error).add("by", "rule");
    errno = error;
    return nullptr;
  }
  errno = 0;
  Object* made = ask();
  error = made ? 0 : errno;
  if (made) device.used(resource).fetch_add(1);
  if (!made) Line(device.name.c_str(), name_of(point)).add("errno", error);
  errno = error;
  return made;
}

// A verb that ends one. The object is gone afterwards, its device is not.
template <typename End>
int end(Point point, Resource resource, Device& device, const End& ask) {
  Inside inside(point);
  if (int error = enter(point, device.name.c_str()).error) return errno = error;
  int result = ask();
  if (result == 0) device.used(resource).fetch_sub(1);
  Line(device.name.c_str(), name_of(point)).add("errno", errno_of(result));
  return result;
}

// Depths that a rule limits are refused as the device refuses what it does not have.
int refused_depth(Device& device, const ibv_qp_cap& cap) {
  if (int error = refusal(device, Resource::send_requests, cap.max_send_wr)) return error;
  return refusal(device, Resource::receive_requests, cap.max_recv_wr);
}

template <typename Attributes, typename Make>
ibv_qp* make_pair(ibv_context* context, Attributes* wanted, const Make& ask) {
  Device& device = device_of(context);
  ibv_qp_cap asked = wanted->cap;
  ibv_qp* pair = make<ibv_qp>(Point::create_qp, Resource::queue_pairs, device, [&]() -> ibv_qp* {
    if (int error = refused_depth(device, asked)) return errno = error, nullptr;
    return ask();
  });
  if (!pair) return nullptr;
  const ibv_qp_cap& got = wanted->cap;
  Line(device.name.c_str(), "ibv_create_qp")
      .add("errno", 0)
      .add("number", pair->qp_num)
      .add("type", wanted->qp_type)
      .granted("send_requests", asked.max_send_wr, got.max_send_wr)
      .granted("receive_requests", asked.max_recv_wr, got.max_recv_wr)
      .granted("send_sges", asked.max_send_sge, got.max_send_sge)
      .granted("receive_sges", asked.max_recv_sge, got.max_recv_sge)
      .granted("inline_bytes", asked.max_inline_data, got.max_inline_data);
  Drops::instance().created(pair, wanted->sq_sig_all != 0);
  return pair;
}

template <typename Make>
ibv_mr* make_region(ibv_pd* domain, size_t bytes, const Make& ask) {
  Device& device = device_of(domain->context);
  ibv_mr* region = make<ibv_mr>(Point::reg_mr, Resource::memory_regions, device, ask);
  if (region) {
    Line(device.name.c_str(), "ibv_reg_mr")
        .add("errno", 0)
        .add("bytes", static_cast<int64_t>(bytes));
  }
  return region;
}

}  // namespace

RAILYARD_VERB ibv_device** ibv_get_device_list(int* count) {
  Inside inside(Point::get_device_list);
  if (int error = enter(Point::get_device_list, "").error) {
    if (count) *count = 0;
    return errno = error, nullptr;
  }
  int found = 0;
  ibv_device** list = real<decltype(&ibv_get_device_list)>("ibv_get_device_list")(&found);
  Line("", "ibv_get_device_list").add("errno", list ? 0 : errno).add("devices", found);
  if (count) *count = found;
  return list;
}

RAILYARD_VERB ibv_context* ibv_open_device(ibv_device* which) {
  static auto name = real<const char* (*)(ibv_device*)>("ibv_get_device_name");
  static auto ask = real<ibv_context* (*)(ibv_device*)>("ibv_open_device");
  Device& device = device_named(name(which));
  ibv_context* context =
      make<ibv_context>(Point::open_device, Resource::contexts, device, [&] { return ask(which); });
  if (!context) return nullptr;
  take(context, device);
  Line(device.name.c_str(), "ibv_open_device").add("errno", 0);
  return context;
}

RAILYARD_VERB int ibv_close_device(ibv_context* context) {
  static auto ask = real<int (*)(ibv_context*)>("ibv_close_device");
  Device& device = device_of(context);
  return end(Point::close_device, Resource::contexts, device, [&] {
    give_back(context);
    return ask(context);
  });
}

RAILYARD_VERB int ibv_query_device(ibv_context* context, ibv_device_attr* out) {
  static auto ask = real<int (*)(ibv_context*, ibv_device_attr*)>("ibv_query_device");
  const char* device = name_of_device(context);
  Inside inside(Point::query_device);
  if (int error = enter(Point::query_device, device).error) return errno = error;
  int result = ask(context, out);
  Line line(device, "ibv_query_device");
  line.add("errno", errno_of(result));
  if (result == 0) {
    line.add("queue_pairs", out->max_qp)
        .add("protection_domains", out->max_pd)
        .add("completion_queues", out->max_cq)
        .add("memory_regions", out->max_mr)
        .add("requests", out->max_qp_wr)
        .add("completions", out->max_cqe)
        .add("sges", out->max_sge)
        .add("region_bytes", static_cast<int64_t>(out->max_mr_size));
  }
  return result;
}

namespace {

template <typename Ask>
int query_port(ibv_context* context, ibv_port_attr* out, const Ask& ask) {
  const char* device = name_of_device(context);
  Inside inside(Point::query_port);
  if (int error = enter(Point::query_port, device).error) return errno = error;
  int result = ask();
  Line line(device, "ibv_query_port");
  line.add("errno", errno_of(result));
  if (result == 0) {
    line.add("state", out->state)
        .add("gids", out->gid_tbl_len)
        .add("message_bytes", out->max_msg_sz)
        .add("link_layer", out->link_layer);
  }
  return result;
}

}  // namespace

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
  Answer answer = enter(Point::query_gid, device);
  if (answer.error) return errno = answer.error, -1;
  int result = ask(context, port, index, out);
  if (result == 0 && answer.gid && (answer.gid->row < 0 || answer.gid->row == index)) {
    std::memcpy(out->raw, answer.gid->gid.data(), sizeof(out->raw));
  }
  return result;
}

RAILYARD_VERB ibv_pd* ibv_alloc_pd(ibv_context* context) {
  static auto ask = real<ibv_pd* (*)(ibv_context*)>("ibv_alloc_pd");
  Device& device = device_of(context);
  ibv_pd* domain = make<ibv_pd>(Point::alloc_pd, Resource::protection_domains, device,
                                [&] { return ask(context); });
  if (domain) Line(device.name.c_str(), "ibv_alloc_pd").add("errno", 0);
  return domain;
}

RAILYARD_VERB int ibv_dealloc_pd(ibv_pd* domain) {
  static auto ask = real<int (*)(ibv_pd*)>("ibv_dealloc_pd");
  return end(Point::dealloc_pd, Resource::protection_domains, device_of(domain->context),
             [&] { return ask(domain); });
}

RAILYARD_VERB ibv_mr* ibv_reg_mr(ibv_pd* domain, void* address, size_t bytes, int access) {
  static auto ask = real<ibv_mr* (*)(ibv_pd*, void*, size_t, int)>("ibv_reg_mr");
  return make_region(domain, bytes, [&] { return ask(domain, address, bytes, access); });
}

RAILYARD_VERB ibv_mr* ibv_reg_mr_iova(ibv_pd* domain, void* address, size_t bytes, uint64_t iova,
                                      int access) {
  static auto ask = real<ibv_mr* (*)(ibv_pd*, void*, size_t, uint64_t, int)>("ibv_reg_mr_iova");
  return make_region(domain, bytes, [&] { return ask(domain, address, bytes, iova, access); });
}

RAILYARD_VERB ibv_mr* ibv_reg_mr_iova2(ibv_pd* domain, void* address, size_t bytes, uint64_t iova,
                                       unsigned int access) {
  static auto ask =
      real<ibv_mr* (*)(ibv_pd*, void*, size_t, uint64_t, unsigned int)>("ibv_reg_mr_iova2");
  return make_region(domain, bytes, [&] { return ask(domain, address, bytes, iova, access); });
}

RAILYARD_VERB int ibv_dereg_mr(ibv_mr* region) {
  static auto ask = real<int (*)(ibv_mr*)>("ibv_dereg_mr");
  return end(Point::dereg_mr, Resource::memory_regions, device_of(region->context),
             [&] { return ask(region); });
}

RAILYARD_VERB ibv_cq* ibv_create_cq(ibv_context* context, int entries, void* user,
                                    ibv_comp_channel* channel, int vector) {
  static auto ask =
      real<ibv_cq* (*)(ibv_context*, int, void*, ibv_comp_channel*, int)>("ibv_create_cq");
  Device& device = device_of(context);
  ibv_cq* queue = make<ibv_cq>(Point::create_cq, Resource::completion_queues, device,
                               [&] { return ask(context, entries, user, channel, vector); });
  if (queue) {
    Line(device.name.c_str(), "ibv_create_cq")
        .add("errno", 0)
        .granted("entries", entries, queue->cqe);
  }
  return queue;
}

RAILYARD_VERB int ibv_destroy_cq(ibv_cq* queue) {
  static auto ask = real<int (*)(ibv_cq*)>("ibv_destroy_cq");
  return end(Point::destroy_cq, Resource::completion_queues, device_of(queue->context), [&] {
    int result = ask(queue);
    if (result == 0) Drops::instance().destroyed(queue);
    return result;
  });
}

RAILYARD_VERB ibv_qp* ibv_create_qp(ibv_pd* domain, ibv_qp_init_attr* wanted) {
  static auto ask = real<ibv_qp* (*)(ibv_pd*, ibv_qp_init_attr*)>("ibv_create_qp");
  return make_pair(domain->context, wanted, [&] { return ask(domain, wanted); });
}

RAILYARD_VERB int ibv_modify_qp(ibv_qp* pair, ibv_qp_attr* attributes, int mask) {
  static auto ask = real<int (*)(ibv_qp*, ibv_qp_attr*, int)>("ibv_modify_qp");
  const char* device = name_of_device(pair->context);
  Inside inside(Point::modify_qp);
  int error = enter(Point::modify_qp, device).error;
  int result = error ? (errno = error) : ask(pair, attributes, mask);
  Line line(device, "ibv_modify_qp");
  line.add("errno", errno_of(result)).add("number", pair->qp_num);
  if (mask & IBV_QP_STATE) line.add("state", attributes->qp_state);
  return result;
}

RAILYARD_VERB int ibv_destroy_qp(ibv_qp* pair) {
  static auto ask = real<int (*)(ibv_qp*)>("ibv_destroy_qp");
  return end(Point::destroy_qp, Resource::queue_pairs, device_of(pair->context),
             [&] { return ask(pair); });
}

namespace railyard::passthrough {

int query_port_op(ibv_context* context, uint8_t port, ibv_port_attr* out, size_t bytes) {
  return ::query_port(context, out,
                      [&] { return opened(context).query_port(context, port, out, bytes); });
}

ibv_qp* create_qp_op(ibv_context* context, ibv_qp_init_attr_ex* wanted) {
  return make_pair(context, wanted, [&] { return opened(context).create_qp_ex(context, wanted); });
}

ibv_cq_ex* create_cq_op(ibv_context* context, ibv_cq_init_attr_ex* wanted) {
  return make<ibv_cq_ex>(Point::create_cq, Resource::completion_queues, device_of(context),
                         [&] { return opened(context).create_cq_ex(context, wanted); });
}

}  // namespace railyard::passthrough
