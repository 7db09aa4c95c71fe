#include "verbs/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "railyard/error.h"

namespace railyard {

namespace {

#ifdef RAILYARD_RUNTIME_LINKED_VERBS

Library load() {
  Library table{};
  table.get_device_list = &::ibv_get_device_list;
  table.free_device_list = &::ibv_free_device_list;
  table.get_device_name = &::ibv_get_device_name;
  table.open_device = &::ibv_open_device;
  table.close_device = &::ibv_close_device;
  table.query_device = &::ibv_query_device;
  // The library writes an older and shorter ibv_port_attr under a type of its own.
  table.query_port =
      reinterpret_cast<decltype(table.query_port)>(reinterpret_cast<void*>(&(::ibv_query_port)));
  table.query_gid = &::ibv_query_gid;
  table.alloc_pd = &::ibv_alloc_pd;
  table.dealloc_pd = &::ibv_dealloc_pd;
  table.reg_mr = &(::ibv_reg_mr);
  table.dereg_mr = &::ibv_dereg_mr;
  table.create_cq = &::ibv_create_cq;
  table.destroy_cq = &::ibv_destroy_cq;
  table.create_qp = &::ibv_create_qp;
  table.modify_qp = &::ibv_modify_qp;
  table.query_qp = &::ibv_query_qp;
  table.destroy_qp = &::ibv_destroy_qp;
  table.get_async_event = &::ibv_get_async_event;
  table.ack_async_event = &::ibv_ack_async_event;
  return table;
}

#else

#ifdef __APPLE__
constexpr const char* kFile = "librdma.dylib";
constexpr const char* kMend = "macOS 26.2 or later has it";
#else
constexpr const char* kFile = "libibverbs.so.1";
constexpr const char* kMend = "install rdma-core (Debian: libibverbs1)";
#endif

[[noreturn]] void fail(const std::string& problem) {
  ErrorFields fields;
  fields.operation = "load verbs";
  throw Error(ErrorCode::device, problem, fields);
}

template <typename Function>
void find_optional(void* handle, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, symbol));
}

template <typename Function>
void find(void* handle, const char* symbol, Function& function) {
  find_optional(handle, symbol, function);
  if (!function) fail(fmt::format("{} has no {}; {}", kFile, symbol, kMend));
}

Library load() {
  // Never unloaded: devices of the library may have threads of their own.
  void* handle = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* reason = dlerror();
    fail(fmt::format("there is no RDMA on this machine: {} ({}); {}", kFile,
                     reason ? reason : "no reason given", kMend));
  }
  Library table{};
  find(handle, "ibv_get_device_list", table.get_device_list);
  find(handle, "ibv_free_device_list", table.free_device_list);
  find(handle, "ibv_get_device_name", table.get_device_name);
  find(handle, "ibv_open_device", table.open_device);
  find(handle, "ibv_close_device", table.close_device);
  find(handle, "ibv_query_device", table.query_device);
  find(handle, "ibv_query_port", table.query_port);
  find(handle, "ibv_query_gid", table.query_gid);
  find(handle, "ibv_alloc_pd", table.alloc_pd);
  find(handle, "ibv_dealloc_pd", table.dealloc_pd);
  find(handle, "ibv_reg_mr", table.reg_mr);
  find(handle, "ibv_dereg_mr", table.dereg_mr);
  find(handle, "ibv_create_cq", table.create_cq);
  find(handle, "ibv_destroy_cq", table.destroy_cq);
  find(handle, "ibv_create_qp", table.create_qp);
  find(handle, "ibv_modify_qp", table.modify_qp);
  find(handle, "ibv_query_qp", table.query_qp);
  find(handle, "ibv_destroy_qp", table.destroy_qp);
  find_optional(handle, "ibv_get_async_event", table.get_async_event);
  find_optional(handle, "ibv_ack_async_event", table.ack_async_event);
  return table;
}

#endif

}  // namespace

const Library& library() {
  static const Library table = load();
  return table;
}

}  // namespace railyard
