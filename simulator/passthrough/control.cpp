// The verbs of the control path: what the rules say, then the device's own, then a line of the
// record.
#include <infiniband/verbs.h>

#include <cerrno>
#include <cstring>

#include "passthrough/device.h"
#include "passthrough/drops.h"
#include "passthrough/extended.h"
#include "passthrough/real.h"
#include "passthrough/record.h"
#include "passthrough/watch.h"
#include "verbs/export.h"

#undef ibv_query_port
#undef ibv_reg_mr
#undef ibv_reg_mr_iova

using namespace railyard::passthrough;

namespace {

// Whether a device that says this has no more of what it was asked for.
bool gives_no_more(int error) {
  for (int each : {ENOMEM, ENOSPC, EBUSY, EAGAIN, EMFILE, EDQUOT}) {
    if (error == each) return true;
  }
  return false;
}

// While it lives, the page says which device is being opened by its own library.
class Opening {
 public:
  Opening(Point point, const Device& device) {
    RulePage& page = Rules::instance().page();
    ptrdiff_t number = device.seen - page.devices;
    if (point != Point::open_device || number < 0 || number >= kMostDevices) return;
    page.in_device.store(static_cast<uint32_t>(number) + 1);
  }
  ~Opening() { Rules::instance().page().in_device.store(0); }
  Opening(const Opening&) = delete;
};

// A verb that makes an object of `resource`: refused by a rule or a limit, or asked of the device.
template <typename Object, typename Make>
Object* make(Point point, Resource resource, Device& device, const Make& ask) {
  Inside inside(point);
  int error = enter(point, device.name.c_str());
  if (error == 0) error = refusal(device, resource);
  if (error != 0) {
    Line(device.name.c_str(), name_of(point)).add("errno", error).add("by", "rule");
    errno = error;
    return nullptr;
  }
  errno = 0;
  Object* made = [&] {
    Opening opening(point, device);
    return ask();
  }();
  error = made ? 0 : errno;
  if (made) {
    device.used(resource).fetch_add(1);
  } else {
    // A device whose port is down may give no protection domain at all.
    bool down = resource == Resource::protection_domains && port_is_down(device);
    if (gives_no_more(error) && !down) device.note_refused(resource);
    Line(device.name.c_str(), name_of(point)).add("errno", error);
  }
  if (resource == Resource::contexts) device.note_contexts();
  errno = error;
  return made;
}

// A verb that ends one. The object is gone afterwards, its device is not.
template <typename End>
int end(Point point, Resource resource, Device& device, const End& ask) {
  Inside inside(point);
  if (int error = enter(point, device.name.c_str())) return errno = error;
  int result = ask();
  if (result == 0) device.used(resource).fetch_sub(1);
  if (resource == Resource::contexts) device.note_contexts();
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
  if (int error = refused_depth(device, asked)) {
    Line(device.name.c_str(), "ibv_create_qp").add("errno", error).add("by", "rule");
    return errno = error, nullptr;
  }
  ibv_qp* pair = make<ibv_qp>(Point::create_qp, Resource::queue_pairs, device, ask);
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
  Watch::instance().created(*pair, wanted->sq_sig_all != 0);
  return pair;
}

template <typename Make>
ibv_mr* make_region(ibv_pd* domain, size_t bytes, const Make& ask) {
  Device& device = device_of(domain->context);
  ibv_mr* region = make<ibv_mr>(Point::reg_mr, Resource::memory_regions, device, ask);
  if (region) {
    Watch::instance().registered(*region);
    Line(device.name.c_str(), "ibv_reg_mr")
        .add("errno", 0)
        .add("bytes", static_cast<int64_t>(bytes));
  }
  return region;
}

}  // namespace

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
  return end(Point::dereg_mr, Resource::memory_regions, device_of(region->context), [&] {
    Watch::instance().deregistered(*region);
    return ask(region);
  });
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
    if (result != 0) return result;
    Drops::instance().destroyed(queue);
    give_back_polls(queue);
    return result;
  });
}

RAILYARD_VERB ibv_qp* ibv_create_qp(ibv_pd* domain, ibv_qp_init_attr* wanted) {
  static auto ask = real<ibv_qp* (*)(ibv_pd*, ibv_qp_init_attr*)>("ibv_create_qp");
  return make_pair(domain->context, wanted, [&] { return ask(domain, wanted); });
}

namespace {

using Gid = std::array<uint8_t, 16>;

// What the device is asked instead, where rules tell other GIDs than it has. The errno of what it
// would refuse if they were its own: a connection from a row that is empty.
int to_real_gids(const char* device, ibv_qp_attr& attributes) {
  ibv_global_route& route = attributes.ah_attr.grh;
  const Rule* row = told_row(device, route.sgid_index, false);
  if (row && row->gid == Gid{}) return EINVAL;
  if (row && row->real_row >= 0) route.sgid_index = static_cast<uint8_t>(row->real_row);
  for (const Rule* rule : Rules::instance().addresses()) {
    if (std::memcmp(route.dgid.raw, rule->gid.data(), sizeof route.dgid.raw) != 0) continue;
    std::memcpy(route.dgid.raw, rule->real_gid.data(), sizeof route.dgid.raw);
    break;
  }
  return 0;
}

}  // namespace

RAILYARD_VERB int ibv_modify_qp(ibv_qp* pair, ibv_qp_attr* attributes, int mask) {
  static auto ask = real<int (*)(ibv_qp*, ibv_qp_attr*, int)>("ibv_modify_qp");
  const char* device = name_of_device(pair->context);
  Inside inside(Point::modify_qp);
  int error = enter(Point::modify_qp, device);
  ibv_qp_attr real_attributes;
  if (error == 0 && Rules::instance().any() && (mask & IBV_QP_AV) &&
      attributes->ah_attr.is_global) {
    real_attributes = *attributes;
    error = to_real_gids(device, real_attributes);
    attributes = &real_attributes;
  }
  int result = error ? (errno = error) : ask(pair, attributes, mask);
  Line line(device, "ibv_modify_qp");
  line.add("errno", errno_of(result)).add("number", pair->qp_num);
  if (error) line.add("by", "rule");
  if (mask & IBV_QP_STATE) line.add("state", attributes->qp_state);
  return result;
}

RAILYARD_VERB int ibv_destroy_qp(ibv_qp* pair) {
  static auto ask = real<int (*)(ibv_qp*)>("ibv_destroy_qp");
  return end(Point::destroy_qp, Resource::queue_pairs, device_of(pair->context), [&] {
    const ibv_context* context = pair->context;
    uint32_t number = pair->qp_num;
    if (int error = ask(pair)) return error;
    Watch::instance().destroyed(context, number);
    give_back_sends(pair);
    return 0;
  });
}

namespace railyard::passthrough {

ibv_qp* create_qp_op(ibv_context* context, ibv_qp_init_attr_ex* wanted) {
  ibv_qp* pair =
      make_pair(context, wanted, [&] { return opened(context).create_qp_ex(context, wanted); });
  bool extended = pair && (wanted->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS);
  if (extended) take_sends(pair, wanted->send_ops_flags);
  return pair;
}

ibv_cq_ex* create_cq_op(ibv_context* context, ibv_cq_init_attr_ex* wanted) {
  // Whose a completion is has to be known where sends are dropped or watched.
  const uint64_t asked = wanted->wc_flags;
  wanted->wc_flags |= IBV_WC_EX_WITH_QP_NUM;
  ibv_cq_ex* queue =
      make<ibv_cq_ex>(Point::create_cq, Resource::completion_queues, device_of(context),
                      [&] { return opened(context).create_cq_ex(context, wanted); });
  wanted->wc_flags = asked;
  if (queue) take_polls(queue);
  return queue;
}

}  // namespace railyard::passthrough
