#include "verbs_table.h"

#include <arpa/inet.h>
#include <dlfcn.h>

#include "platform/executable.h"

namespace railyard::host {

VerbsTable load_verbs(std::string& error) {
  VerbsTable table{};
  void* library = dlopen(harness::verbs_library_name(), RTLD_NOW);
  if (!library) {
    const char* reason = dlerror();
    error = std::string("no verbs library: ") + (reason ? reason : harness::verbs_library_name());
    return table;
  }
  auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function && error.empty())
      error = std::string(harness::verbs_library_name()) + " has no " + name;
  };
  find("ibv_get_device_list", table.list);
  find("ibv_get_device_name", table.name);
  find("ibv_get_device_guid", table.guid);
  find("ibv_open_device", table.open);
  find("ibv_close_device", table.close);
  find("ibv_query_port", table.port);
  find("ibv_query_gid", table.gid);
  find("ibv_alloc_pd", table.alloc_pd);
  find("ibv_reg_mr", table.reg_mr);
  find("ibv_create_cq", table.create_cq);
  find("ibv_create_qp", table.create_qp);
  find("ibv_modify_qp", table.modify_qp);
  find("ibv_destroy_qp", table.destroy_qp);
  return table;
}

std::string text_of(const ibv_gid& gid) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, gid.raw, text, sizeof text);
  return text;
}

}  // namespace railyard::host
