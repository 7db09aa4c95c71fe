#include "actor.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "actor_parts.h"
#include "opcodes.h"
#include "wire.h"

namespace railyard::fuzz {
namespace {

class Actor {
 public:
  explicit Actor(int domain_name) : domain_name_(domain_name), arena_(map_memory(kArenaBytes)) {}

  Reply answer(const Command& command) {
    Reply reply{};
    Slot& slot = slots_[command.slot];
    switch (command.ask) {
      case Ask::create:
        create(command, slot, reply);
        break;
      case Ask::open:
        slot.pair = open_receiver(*slot.device, command.peer.number);
        break;
      case Ask::connect:
        reply.result = connect(command, slot);
        break;
      case Ask::send:
        send(command, slot, reply);
        break;
      case Ask::receive:
        receive(command, slot, reply);
        break;
      case Ask::poll:
        poll(reply);
        break;
      case Ask::query:
        reply.state = state(slot);
        break;
      case Ask::move:
        reply.result = move(slot, command.state);
        break;
      case Ask::destroy:
        reply.result = destroy(slot);
        break;
      case Ask::rereg:
        reply.result = ibv_rereg_mr(slot.region, IBV_REREG_MR_CHANGE_ACCESS, nullptr, nullptr, 0,
                                    command.step.writable ? kAllAccess : IBV_ACCESS_REMOTE_READ);
        slot.keys[int(Key::good)] = slot.keys[int(Key::outside)] = slot.region->rkey;
        memcpy(reply.info.keys, slot.keys, sizeof slot.keys);
        break;
      case Ask::fill:
        for (uint32_t i = 0; i < kWindowBytes; ++i) slot.window[i] = pattern(command.seed, i);
        break;
      case Ask::digest:
        reply.digest = digest_of(slot.window, kWindowBytes);
        break;
      case Ask::leave:
        break;
    }
    return reply;
  }

 private:
  Device& device(int index) {
    std::unique_ptr<Device>& place = devices_[index];
    if (!place) place = std::make_unique<Device>(index, arena_, domain_name_);
    return *place;
  }

  void create(const Command& command, Slot& slot, Reply& reply) {
    Device& own = device(command.device);
    slot.device = &own;
    slot.type = command.type;
    slot.end = command.end;
    if (!slot.queue && command.end.own_queue) {
      slot.queue = std::make_unique<Queue>(own.context, command.end.channel);
    }
    if (!slot.window && command.part != Part::pair) make_window(slot, own);
    ibv_cq* queue = (slot.queue ? slot.queue : own.queue)->get();
    ibv_device_attr device_attributes{};
    ibv_query_device(own.context, &device_attributes);
    uint32_t pieces =
        std::min<uint32_t>(kMostPieces, static_cast<uint32_t>(device_attributes.max_sge));
    ibv_qp_init_attr wanted{};
    wanted.send_cq = wanted.recv_cq = queue;
    wanted.qp_type = command.type;
    wanted.sq_sig_all = command.end.signal_all;
    wanted.cap = {command.end.sends, command.end.receives, pieces, pieces,
                  command.end.inline_bytes};
    if (slot.shared && ibv_destroy_srq(slot.shared) != 0)
      throw std::runtime_error("ibv_destroy_srq");
    slot.shared = nullptr;
    if (slot.extended()) {
      Extended made = make_extended(own, command, pieces, queue, wanted.cap);
      slot.pair = made.pair;
      slot.shared = made.shared;
    } else if (command.end.shared) {
      ibv_srq_init_attr queue_wanted{nullptr, {command.end.receives, pieces, 0}};
      wanted.srq = slot.shared = need(ibv_create_srq(own.domain, &queue_wanted), "ibv_create_srq");
    }
    if (!slot.extended()) slot.pair = need(ibv_create_qp(own.domain, &wanted), "ibv_create_qp");
    if (slot.shared) {
      ibv_srq_attr granted{};
      ibv_query_srq(slot.shared, &granted);
      wanted.cap.max_recv_wr = granted.max_wr;
      wanted.cap.max_recv_sge = granted.max_sge;
    }
    ibv_port_attr port{};
    ibv_query_port(own.context, 1, &port);
    EndInfo& info = reply.info;
    if (slot.pair) info.number = slot.pair->qp_num;
    info.lid = port.lid;
    ibv_query_gid(own.context, 1, port.gid_tbl_len > 1 && port.lid == 0 ? 1 : 0, &info.gid);
    info.window = reinterpret_cast<uint64_t>(slot.window);
    memcpy(info.keys, slot.keys, sizeof info.keys);
    info.granted = wanted.cap;
    if (slot.extended() && slot.shared) ibv_get_srq_num(slot.shared, &info.shared_number);
  }

  // A device without one-sided operations registers none of these.
  static void make_window(Slot& slot, Device& own) {
    slot.window = map_memory(kWindowBytes);
    auto key = [&](Key which, ibv_pd* of, int access) {
      ibv_mr* region = ibv_reg_mr(of, slot.window, kWindowBytes, access);
      if (region) slot.keys[int(which)] = region->rkey;
      return region;
    };
    slot.region = key(Key::good, own.domain, kAllAccess);
    slot.keys[int(Key::outside)] = slot.keys[int(Key::good)];
    key(Key::read_only, own.domain, IBV_ACCESS_REMOTE_READ);
    key(Key::foreign, own.foreign, kAllAccess);
    if (ibv_mr* gone = key(Key::stale, own.domain, kAllAccess)) ibv_dereg_mr(gone);
    if (slot.region) slot.keys[int(Key::bound)] = bind_window(own, slot.window);
  }

  // To RTS; 0 or the errno of the move that failed.
  static int connect(const Command& command, Slot& slot) {
    bool reliable = fuzz::reliable(command.type), datagrams = command.type == IBV_QPT_UD;
    ibv_qp_attr wanted{};
    wanted.qp_state = IBV_QPS_INIT;
    wanted.port_num = 1;
    wanted.qkey = kQueueKey;
    wanted.qp_access_flags = kAllAccess;
    int init = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
               (datagrams ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS);
    if (int error = ibv_modify_qp(slot.pair, &wanted, init)) return error;
    wanted.qp_state = IBV_QPS_RTR;
    wanted.path_mtu = IBV_MTU_1024;
    wanted.dest_qp_num = command.peer.number;
    wanted.max_dest_rd_atomic = wanted.max_rd_atomic = reliable ? 1 : 0;
    wanted.min_rnr_timer = 1;
    wanted.timeout = 8;
    wanted.retry_cnt = 1;
    wanted.rnr_retry = command.end.rnr_retries;
    wanted.ah_attr.port_num = 1;
    wanted.ah_attr.dlid = command.peer.lid;
    if (command.peer.lid == 0) {
      wanted.ah_attr.is_global = 1;
      wanted.ah_attr.grh.dgid = command.peer.gid;
      wanted.ah_attr.grh.sgid_index = 1;
    }
    int rtr = IBV_QP_STATE;
    if (!datagrams) rtr |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
    if (reliable) rtr |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
    if (int error = ibv_modify_qp(slot.pair, &wanted, rtr)) return error;
    wanted.qp_state = IBV_QPS_RTS;
    int rts = IBV_QP_STATE | IBV_QP_SQ_PSN;
    if (reliable)
      rts |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
    if (int error = ibv_modify_qp(slot.pair, &wanted, rts)) return error;
    slot.peer_shared = command.peer.shared_number;
    if (datagrams) {
      if (slot.address) ibv_destroy_ah(slot.address);
      slot.address = need(ibv_create_ah(slot.device->domain, &wanted.ah_attr), "ibv_create_ah");
      slot.peer = command.peer.number;
    }
    return 0;
  }

  // Takes a request's pieces from the arena; false when it is used up.
  bool pieces_for(const Step& step, bool inlined, Slot& slot, ibv_sge* list, Posted& posted) {
    posted.pieces = step.pieces;
    for (uint32_t i = 0; i < posted.pieces; ++i) {
      uint32_t bytes = step.sizes[i];
      if (used_ + bytes + kMargin > kArenaBytes) return false;
      posted.at[i] = arena_ + used_;
      posted.bytes[i] = bytes;
      used_ += bytes + kMargin;
      list[i] = {reinterpret_cast<uint64_t>(posted.at[i]), bytes,
                 slot.device->keys[int(step.local)]};
      // Inline data is read by the library itself: its address must be one.
      if (step.local == Key::outside && !inlined) list[i].addr += kArenaBytes;
    }
    return true;
  }

  // A send of a list, before it is posted.
  struct Prepared {
    ibv_send_wr request{};
    ibv_sge pieces[kMostPieces];
    Posted posted{};
  };

  bool prepare(const Command& command, const Step& step, uint64_t id, Slot& slot, Prepared& out) {
    if (!pieces_for(step, step.inlined, slot, out.pieces, out.posted)) return false;
    Posted& posted = out.posted;
    bool atomic =
        step.opcode == IBV_WR_ATOMIC_CMP_AND_SWP || step.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
    posted.filled = atomic || step.opcode == IBV_WR_RDMA_READ;
    uint64_t place = 0;
    for (uint32_t i = 0; i < posted.pieces; ++i) {
      for (uint32_t at = 0; at < posted.bytes[i] + kMargin; ++at) {
        bool inside = at < posted.bytes[i];
        posted.at[i][at] = posted.filled || !inside ? kUntouched : pattern(step.seed, place++);
      }
    }
    ibv_send_wr& wanted = out.request;
    wanted.wr_id = id;
    wanted.sg_list = out.pieces;
    wanted.num_sge = static_cast<int>(posted.pieces);
    wanted.opcode = step.opcode;
    if (step.signaled) wanted.send_flags |= IBV_SEND_SIGNALED;
    if (step.inlined) wanted.send_flags |= IBV_SEND_INLINE;
    if (step.solicited) wanted.send_flags |= IBV_SEND_SOLICITED;
    wanted.imm_data = step.immediate;
    wanted.qp_type.xrc.remote_srqn = slot.peer_shared;
    if (slot.datagrams()) {
      wanted.wr.ud = {slot.address, slot.peer, queue_key(step.remote)};
    } else if (atomic) {
      wanted.wr.atomic = {command.remote_address, step.seed, ~step.seed, command.remote_key};
    } else {
      wanted.wr.rdma = {command.remote_address, command.remote_key};
    }
    return true;
  }

  // Posts a list at once; says how many of it were taken, and why the next was not.
  void send(const Command& command, Slot& slot, Reply& reply) {
    Prepared list[kMostOfAList];
    uint32_t count = command.step.list;
    for (uint32_t i = 0; i < count; ++i) {
      if (!prepare(command, element(command.step, i), command.id + i, slot, list[i])) {
        reply.result = ENOBUFS;
        return;
      }
      if (i > 0) list[i - 1].request.next = &list[i].request;
    }
    ibv_send_wr* bad = nullptr;
    reply.result = ibv_post_send(slot.pair, &list[0].request, &bad);
    reply.count = static_cast<int>(count);
    for (uint32_t i = 0; reply.result != 0 && i < count; ++i) {
      if (bad == &list[i].request) reply.count = static_cast<int>(i);
    }
    if (reply.result != 0 && reply.count == static_cast<int>(count))
      reply.result = -1;  // it names none of them
    for (int i = 0; i < reply.count; ++i)
      posted_[command.id + static_cast<uint64_t>(i)] = list[i].posted;
    if (!command.step.inlined) return;
    for (uint32_t i = 0; i < count;
         ++i) {  // the data has been taken: the memory is the program's again
      const Posted& posted = list[i].posted;
      for (uint32_t piece = 0; piece < posted.pieces; ++piece)
        memset(posted.at[piece], 0x55, posted.bytes[piece]);
    }
  }

  void receive(const Command& command, Slot& slot, Reply& reply) {
    ibv_sge pieces[kMostOfAList][kMostPieces];
    ibv_recv_wr list[kMostOfAList] = {}, *bad = nullptr;
    Posted posted[kMostOfAList] = {};
    uint32_t count = command.step.list;
    for (uint32_t i = 0; i < count; ++i) {
      if (!pieces_for(command.step, false, slot, pieces[i], posted[i])) {
        reply.result = ENOBUFS;
        return;
      }
      posted[i].filled = true;
      posted[i].header = slot.datagrams() ? kHeaderBytes : 0;
      for (uint32_t piece = 0; piece < posted[i].pieces; ++piece)
        memset(posted[i].at[piece], kUntouched, posted[i].bytes[piece] + kMargin);
      list[i].wr_id = command.id + i;
      list[i].sg_list = pieces[i];
      list[i].num_sge = static_cast<int>(posted[i].pieces);
      if (i > 0) list[i - 1].next = &list[i];
    }
    reply.result = slot.shared ? ibv_post_srq_recv(slot.shared, list, &bad)
                               : ibv_post_recv(slot.pair, list, &bad);
    reply.count = static_cast<int>(count);
    if (reply.result != 0) {
      reply.count = 0;
      while (reply.count < static_cast<int>(count) && bad != &list[reply.count]) ++reply.count;
      if (reply.count == static_cast<int>(count)) reply.result = -1;  // it names none of them
    }
    for (int i = 0; i < reply.count; ++i)
      posted_[command.id + static_cast<uint64_t>(i)] = posted[i];
  }

  void poll(Reply& reply) {
    std::vector<Queue*> queues;
    for (auto& [number, device] : devices_) queues.push_back(device->queue.get());
    for (auto& [number, slot] : slots_) {
      if (slot.queue) queues.push_back(slot.queue.get());
    }
    for (Queue* queue : queues) {
      ibv_wc found[Reply::kMost];
      if (reply.count == Reply::kMost) break;
      int count = queue->poll(found, Reply::kMost - reply.count);
      if (count < 0) reply.result = count;
      for (int i = 0; i < count; ++i) reply.completions[reply.count++] = told(found[i]);
    }
  }

  Completion told(const ibv_wc& wc) {
    Completion out{wc.wr_id,    wc.status, wc.opcode, wc.byte_len, wc.imm_data,
                   wc.wc_flags, wc.qp_num, 0,         true};
    auto found = posted_.find(wc.wr_id);
    if (found == posted_.end()) return out;
    const Posted& posted = found->second;
    // A write with immediate data completes a receive and puts nothing into it.
    uint64_t left =
        wc.status == IBV_WC_SUCCESS && wc.opcode != IBV_WC_RECV_RDMA_WITH_IMM ? wc.byte_len : 0;
    if (wc.status == IBV_WC_SUCCESS) out.bytes -= posted.header;
    out.digest = kDigestStart;
    for (uint32_t i = 0; posted.filled && i < posted.pieces; ++i) {
      uint32_t taken = static_cast<uint32_t>(std::min<uint64_t>(left, posted.bytes[i]));
      left -= taken;
      for (uint32_t at = posted.header; at < taken; ++at)
        out.digest = digest_byte(out.digest, posted.at[i][at]);
      // What a failed request leaves in its memory is not defined, beyond its end nothing is.
      uint32_t from = wc.status == IBV_WC_SUCCESS ? taken : posted.bytes[i];
      for (size_t at = from; at < posted.bytes[i] + kMargin; ++at) {
        out.intact = out.intact && posted.at[i][at] == kUntouched;
      }
    }
    posted_.erase(found);
    return out;
  }

  static ibv_qp_state state(Slot& slot) {
    ibv_qp_attr attributes{};
    ibv_qp_init_attr initial{};
    if (ibv_query_qp(slot.pair, &attributes, IBV_QP_STATE, &initial) != 0) return IBV_QPS_UNKNOWN;
    return attributes.qp_state;
  }

  static int move(Slot& slot, ibv_qp_state state) {
    ibv_qp_attr wanted{};
    wanted.qp_state = state;
    return ibv_modify_qp(slot.pair, &wanted, IBV_QP_STATE);
  }

  static int destroy(Slot& slot) {
    int result = ibv_destroy_qp(slot.pair);
    slot.pair = nullptr;
    return result;
  }

  int domain_name_;
  uint8_t* arena_;
  size_t used_ = 0;
  std::map<int, std::unique_ptr<Device>> devices_;
  std::map<int, Slot> slots_;
  std::unordered_map<uint64_t, Posted> posted_;
};

}  // namespace

int act(int socket, int domain_name) {
  Actor actor(domain_name);
  Command command;
  while (recv(socket, &command, sizeof command, 0) == sizeof command) {
    Reply reply = actor.answer(command);
    if (::send(socket, &reply, sizeof reply, MSG_NOSIGNAL) != sizeof reply) return 1;
    if (command.ask == Ask::leave) return 0;
  }
  return 1;
}

}  // namespace railyard::fuzz
