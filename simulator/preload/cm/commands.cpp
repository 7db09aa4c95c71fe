#include "cm/commands.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace railyard::cm {

namespace {

constexpr uint16_t kFamilyIb = 27;

// A command as the program wrote it. Fields that a shorter (older) one lacks read as zeros.
class Command {
 public:
  Command(const void* body, size_t size, size_t room) : body_(body), size_(size), room_(room) {}

  template <typename T>
  T as() const {
    T result{};
    memcpy(static_cast<void*>(&result), body_, std::min(size_, sizeof result));
    return result;
  }

  // Answers at the address that the command names, as much as the program has room for.
  template <typename T>
  int answer(uint64_t response, const T& value) const {
    if (response == 0) return EFAULT;
    memcpy(reinterpret_cast<void*>(response), &value, std::min(room_, sizeof value));
    return 0;
  }

 private:
  const void* body_;
  size_t size_, room_;
};

Address address_of(const sockaddr_in6& given) { return Address::from(&given, sizeof given); }
Address address_of(const __kernel_sockaddr_storage& given) {
  return Address::from(&given, sizeof given);
}
bool is_infiniband(const __kernel_sockaddr_storage& given) { return given.ss_family == kFamilyIb; }

int create(Manager& manager, int channel, const Command& command) {
  auto given = command.as<rdma_ucm_create_id>();
  rdma_ucm_create_id_resp made{};
  int error = manager.create(channel, given, &made.id);
  return error ? error : command.answer(given.response, made);
}

int destroy(Manager& manager, const Command& command) {
  auto given = command.as<rdma_ucm_destroy_id>();
  rdma_ucm_destroy_id_resp gone{};
  int error = manager.destroy(given.id, &gone.events_reported);
  return error ? error : command.answer(given.response, gone);
}

int query(Manager& manager, const Command& command) {
  auto given = command.as<rdma_ucm_query>();
  rdma_ucm_query_addr_resp shown{};
  if (given.option == RDMA_USER_CM_QUERY_PATH) {
    if (!manager.has(given.id)) return ENOENT;
    return command.answer(given.response, rdma_ucm_query_path_resp{});
  }
  int error = given.option == RDMA_USER_CM_QUERY_ADDR  ? manager.query_address(given.id, &shown)
              : given.option == RDMA_USER_CM_QUERY_GID ? manager.query_gid(given.id, &shown)
                                                       : ENOSYS;
  return error ? error : command.answer(given.response, shown);
}

int query_route(Manager& manager, const Command& command) {
  auto given = command.as<rdma_ucm_query>();
  rdma_ucm_query_route_resp shown{};
  int error = manager.query_route(given.id, &shown);
  return error ? error : command.answer(given.response, shown);
}

int init_queue_pair(Manager& manager, const Command& command) {
  auto given = command.as<rdma_ucm_init_qp_attr>();
  ib_uverbs_qp_attr attributes{};
  int error = manager.init_queue_pair(given.id, given.qp_state, &attributes);
  return error ? error : command.answer(given.response, attributes);
}

int get_event(Manager& manager, int channel, const Command& command) {
  auto given = command.as<rdma_ucm_get_event>();
  rdma_ucm_event_resp shown{};
  int error = manager.get_event(channel, &shown);
  return error ? error : command.answer(given.response, shown);
}

int set_option(Manager& manager, const Command& command) {
  auto given = command.as<rdma_ucm_set_option>();
  if (!manager.has(given.id)) return ENOENT;
  if (given.level == RDMA_OPTION_ID) return 0;  // nothing here depends on them
  if (given.level == RDMA_OPTION_IB && given.optname == RDMA_OPTION_IB_PATH) {
    return manager.set_path(given.id);
  }
  return ENOSYS;
}

int join(Manager& manager, const Command& command, uint64_t response, uint64_t uid, uint32_t id,
         const Address& group) {
  rdma_ucm_create_id_resp made{};
  int error = manager.join(id, uid, group, &made.id);
  return error ? error : command.answer(response, made);
}

int leave(Manager& manager, const Command& command) {
  auto given = command.as<rdma_ucm_destroy_id>();
  rdma_ucm_destroy_id_resp gone{};
  int error = manager.leave(given.id, &gone.events_reported);
  return error ? error : command.answer(given.response, gone);
}

int migrate(Manager& manager, int channel, const Command& command) {
  auto given = command.as<rdma_ucm_migrate_id>();
  rdma_ucm_migrate_resp moved{};
  int error = manager.migrate(given.id, channel, &moved.events_reported);
  return error ? error : command.answer(given.response, moved);
}

}  // namespace

int carry_out(Manager& manager, int channel, const void* data, size_t size) {
  rdma_ucm_cmd_hdr header;
  if (size < sizeof header) return EINVAL;
  memcpy(&header, data, sizeof header);
  if (header.in + sizeof header > size) return EINVAL;
  Command command(static_cast<const std::byte*>(data) + sizeof header, header.in, header.out);
  switch (header.cmd) {
    case RDMA_USER_CM_CMD_CREATE_ID:
      return create(manager, channel, command);
    case RDMA_USER_CM_CMD_DESTROY_ID:
      return destroy(manager, command);
    case RDMA_USER_CM_CMD_BIND_IP: {
      auto given = command.as<rdma_ucm_bind_ip>();
      return manager.bind(given.id, address_of(given.addr));
    }
    case RDMA_USER_CM_CMD_BIND: {
      auto given = command.as<rdma_ucm_bind>();
      // librdmacm asks in this way whether InfiniBand addresses are known; they are not.
      if (is_infiniband(given.addr)) return ENODEV;
      return manager.bind(given.id, address_of(given.addr));
    }
    case RDMA_USER_CM_CMD_RESOLVE_IP: {
      auto given = command.as<rdma_ucm_resolve_ip>();
      return manager.resolve_address(given.id, address_of(given.src_addr),
                                     address_of(given.dst_addr));
    }
    case RDMA_USER_CM_CMD_RESOLVE_ADDR: {
      auto given = command.as<rdma_ucm_resolve_addr>();
      if (is_infiniband(given.src_addr) || is_infiniband(given.dst_addr)) return ENODEV;
      return manager.resolve_address(given.id, address_of(given.src_addr),
                                     address_of(given.dst_addr));
    }
    case RDMA_USER_CM_CMD_RESOLVE_ROUTE:
      return manager.resolve_route(command.as<rdma_ucm_resolve_route>().id);
    case RDMA_USER_CM_CMD_QUERY_ROUTE:
      return query_route(manager, command);
    case RDMA_USER_CM_CMD_QUERY:
      return query(manager, command);
    case RDMA_USER_CM_CMD_CONNECT: {
      auto given = command.as<rdma_ucm_connect>();
      return manager.connect(given.id, given.conn_param);
    }
    case RDMA_USER_CM_CMD_LISTEN: {
      auto given = command.as<rdma_ucm_listen>();
      return manager.listen(given.id, static_cast<int>(given.backlog));
    }
    case RDMA_USER_CM_CMD_ACCEPT: {
      auto given = command.as<rdma_ucm_accept>();
      return manager.accept(given.id, given.uid, given.conn_param);
    }
    case RDMA_USER_CM_CMD_REJECT: {
      auto given = command.as<rdma_ucm_reject>();
      return manager.reject(given.id, given.private_data, given.private_data_len);
    }
    case RDMA_USER_CM_CMD_DISCONNECT:
      return manager.disconnect(command.as<rdma_ucm_disconnect>().id);
    case RDMA_USER_CM_CMD_INIT_QP_ATTR:
      return init_queue_pair(manager, command);
    case RDMA_USER_CM_CMD_GET_EVENT:
      return get_event(manager, channel, command);
    case RDMA_USER_CM_CMD_SET_OPTION:
      return set_option(manager, command);
    case RDMA_USER_CM_CMD_NOTIFY: {
      auto given = command.as<rdma_ucm_notify>();
      return manager.notify(given.id, given.event);
    }
    case RDMA_USER_CM_CMD_JOIN_IP_MCAST: {
      auto given = command.as<rdma_ucm_join_ip_mcast>();
      return join(manager, command, given.response, given.uid, given.id, address_of(given.addr));
    }
    case RDMA_USER_CM_CMD_JOIN_MCAST: {
      auto given = command.as<rdma_ucm_join_mcast>();
      return join(manager, command, given.response, given.uid, given.id, address_of(given.addr));
    }
    case RDMA_USER_CM_CMD_LEAVE_MCAST:
      return leave(manager, command);
    case RDMA_USER_CM_CMD_MIGRATE_ID:
      return migrate(manager, channel, command);
    default:
      return ENOSYS;
  }
}

}  // namespace railyard::cm
