// Memory windows.
#include <cerrno>
#include <mutex>

#include "device/context.h"
#include "verbs/operations.h"

namespace railyard::sim {

ibv_mw* allocate_window(ibv_pd* domain, ibv_mw_type type) {
  Context& context = Context::from(domain->context);
  if (enter(context, Verb::alloc_mw)) return nullptr;
  if (!context.profile().windows) return errno = EOPNOTSUPP, nullptr;
  if (type != IBV_MW_TYPE_1 && type != IBV_MW_TYPE_2) return errno = EINVAL, nullptr;
  std::lock_guard guard(context.lock);
  Region unbound;
  unbound.domain = domain;
  unbound.window = true;
  uint32_t key = context.regions.add(unbound);
  return new ibv_mw{domain->context, domain, key, MemoryTable::handle_of(key), type};
}

int deallocate_window(ibv_mw* window) {
  Context& context = Context::from(window->context);
  if (int error = enter(context, Verb::dealloc_mw)) return error;
  {
    std::lock_guard guard(context.lock);
    // By its handle: a binding that failed has left a key in `rkey` that the window never had.
    if (Region* region = context.regions.find_window(window->handle))
      context.regions.remove(region->key);
  }
  delete window;
  return 0;
}

// Windows of type 1: the library makes the request and chooses the key.
int bind_window(ibv_qp* pair, ibv_mw* window, ibv_mw_bind* bind) {
  if (int error = enter(Context::from(window->context), Verb::bind_mw)) return error;
  ibv_send_wr request{}, *bad;
  request.wr_id = bind->wr_id;
  request.send_flags = bind->send_flags;
  request.opcode = IBV_WR_BIND_MW;
  request.bind_mw.mw = window;
  request.bind_mw.rkey = ibv_inc_rkey(window->rkey);
  request.bind_mw.bind_info = bind->bind_info;
  int error = post_send(pair, &request, &bad);
  if (error == 0) window->rkey = request.bind_mw.rkey;
  return error;
}

}  // namespace railyard::sim
