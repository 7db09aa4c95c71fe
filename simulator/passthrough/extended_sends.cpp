#include <cerrno>
#include <functional>
#include <utility>
#include <vector>

#include "passthrough/drops.h"
#include "passthrough/extended.h"
#include "passthrough/real.h"
#include "passthrough/record.h"
#include "passthrough/traffic.h"
#include "passthrough/watch.h"

namespace railyard::passthrough {

namespace {

// One request, as its program has described it so far.
struct Request {
  uint64_t id;
  unsigned flags;
  ibv_wr_opcode opcode;
  std::vector<ibv_sge> pieces;
  std::vector<std::function<void(ibv_qp_ex*)>> calls;  // describe it to the device

  ibv_send_wr as_send() {
    ibv_send_wr send{};
    send.wr_id = id;
    send.send_flags = flags;
    send.opcode = opcode;
    send.sg_list = pieces.data();
    send.num_sge = static_cast<int>(pieces.size());
    return send;
  }
};

struct Pair {
  ibv_qp_ex real;    // its own functions; of this copy nothing else is used
  std::mutex batch;  // held from the start of a batch to its end, as the device's own would be
  std::vector<Request> requests;
};

Fronts<ibv_qp_ex, Pair>& pairs() {
  static auto& all = *new Fronts<ibv_qp_ex, Pair>;
  return all;
}

// What describes a request to the device: the function `kMember`, with arguments that are kept.
template <auto kMember, typename... Args>
std::function<void(ibv_qp_ex*)> call(Pair& ours, Args... args) {
  return [&ours, args...](ibv_qp_ex* face) { (ours.real.*kMember)(face, args...); };
}

std::vector<std::byte> copy_of(const void* from, size_t bytes) {
  const auto* first = static_cast<const std::byte*>(from);
  return {first, first + bytes};
}

Request& begin(Pair& ours, const ibv_qp_ex* face, ibv_wr_opcode opcode) {
  return ours.requests.emplace_back(Request{face->wr_id, face->wr_flags, opcode, {}, {}});
}

// A request begins.
template <auto kMember, ibv_wr_opcode kOpcode>
struct Operation;
template <typename... Args, void (*ibv_qp_ex::*kMember)(ibv_qp_ex*, Args...), ibv_wr_opcode kOpcode>
struct Operation<kMember, kOpcode> {
  static void put(ibv_qp_ex* face, Args... args) {
    Pair& ours = pairs().of(face);
    begin(ours, face, kOpcode).calls.push_back(call<kMember>(ours, args...));
  }
};

// Those whose arguments point at what their program may change once they return.
void bind_window(ibv_qp_ex* face, ibv_mw* window, uint32_t key, const ibv_mw_bind_info* info) {
  Pair& ours = pairs().of(face);
  begin(ours, face, IBV_WR_BIND_MW)
      .calls.push_back([&ours, window, key, kept = *info](ibv_qp_ex* pair) {
        ours.real.wr_bind_mw(pair, window, key, &kept);
      });
}

void send_segmented(ibv_qp_ex* face, void* header, uint16_t bytes, uint16_t segment) {
  Pair& ours = pairs().of(face);
  begin(ours, face, IBV_WR_TSO)
      .calls.push_back([&ours, kept = copy_of(header, bytes), bytes, segment](ibv_qp_ex* pair) {
        ours.real.wr_send_tso(pair, const_cast<std::byte*>(kept.data()), bytes, segment);
      });
}

void write_atomic(ibv_qp_ex* face, uint32_t key, uint64_t address, const void* value) {
  Pair& ours = pairs().of(face);
  begin(ours, face, IBV_WR_ATOMIC_WRITE)
      .calls.push_back([&ours, key, address, kept = copy_of(value, 8)](ibv_qp_ex* pair) {
        ours.real.wr_atomic_write(pair, key, address, kept.data());
      });
}

// More of the request that was begun last; without one the program is wrong, and the device is
// spared.
template <typename Add>
void describe(ibv_qp_ex* face, const Add& add) {
  Pair& ours = pairs().of(face);
  if (!ours.requests.empty()) add(ours, ours.requests.back());
}

void set_ud_address(ibv_qp_ex* face, ibv_ah* handle, uint32_t number, uint32_t key) {
  describe(face, [&](Pair& ours, Request& request) {
    request.calls.push_back(call<&ibv_qp_ex::wr_set_ud_addr>(ours, handle, number, key));
  });
}

void set_shared_queue(ibv_qp_ex* face, uint32_t number) {
  describe(face, [&](Pair& ours, Request& request) {
    request.calls.push_back(call<&ibv_qp_ex::wr_set_xrc_srqn>(ours, number));
  });
}

void set_inline(ibv_qp_ex* face, void* address, size_t bytes) {
  describe(face, [&](Pair& ours, Request& request) {
    request.flags |= IBV_SEND_INLINE;
    request.calls.push_back([&ours, kept = copy_of(address, bytes)](ibv_qp_ex* pair) {
      ours.real.wr_set_inline_data(pair, const_cast<std::byte*>(kept.data()), kept.size());
    });
  });
}

void set_inline_list(ibv_qp_ex* face, size_t count, const ibv_data_buf* list) {
  describe(face, [&](Pair& ours, Request& request) {
    request.flags |= IBV_SEND_INLINE;
    std::vector<std::vector<std::byte>> kept;
    for (size_t i = 0; i < count; ++i) kept.push_back(copy_of(list[i].addr, list[i].length));
    request.calls.push_back([&ours, kept = std::move(kept)](ibv_qp_ex* pair) {
      std::vector<ibv_data_buf> buffers;
      for (const auto& each : kept) {
        buffers.push_back({const_cast<std::byte*>(each.data()), each.size()});
      }
      ours.real.wr_set_inline_data_list(pair, buffers.size(), buffers.data());
    });
  });
}

void set_piece(ibv_qp_ex* face, uint32_t key, uint64_t address, uint32_t bytes) {
  describe(face, [&](Pair& ours, Request& request) {
    request.pieces = {{address, bytes, key}};
    request.calls.push_back(call<&ibv_qp_ex::wr_set_sge>(ours, key, address, bytes));
  });
}

void set_pieces(ibv_qp_ex* face, size_t count, const ibv_sge* list) {
  describe(face, [&](Pair& ours, Request& request) {
    request.pieces.assign(list, list + count);
    request.calls.push_back([&ours, kept = request.pieces](ibv_qp_ex* pair) {
      ours.real.wr_set_sge_list(pair, kept.size(), kept.data());
    });
  });
}

void start(ibv_qp_ex* face) {
  Pair& ours = pairs().of(face);
  ours.batch.lock();
  ours.requests.clear();
}

void abort(ibv_qp_ex* face) {
  Pair& ours = pairs().of(face);
  ours.requests.clear();
  ours.batch.unlock();
}

// What the rules say of a whole batch: the errno of its first request that fails, for then none is
// posted; and which of them are dropped.
int enter_batch(const Pair& ours, const char* device, std::vector<bool>& dropped) {
  for (size_t i = 0; i < ours.requests.size(); ++i) {
    bool drop = false;
    if (int error = enter_send(device, drop)) return error;
    dropped.push_back(drop);
  }
  return 0;
}

int hand_over(Pair& ours, ibv_qp_ex* face, const std::vector<bool>& dropped) {
  ours.real.wr_start(face);
  for (size_t i = 0; i < ours.requests.size(); ++i) {
    if (dropped[i]) continue;
    face->wr_id = ours.requests[i].id;
    face->wr_flags = ours.requests[i].flags & ~static_cast<unsigned>(IBV_SEND_INLINE);
    for (const auto& describe_it : ours.requests[i].calls) describe_it(face);
  }
  return ours.real.wr_complete(face);
}

int complete(ibv_qp_ex* face) {
  Pair& ours = pairs().of(face);
  std::unique_lock batch(ours.batch, std::adopt_lock);
  const ibv_qp& pair = face->qp_base;
  const char* device = name_of_device(pair.context);
  Watch& watch = Watch::instance();
  Drops& books = Drops::instance();
  Rules::instance().page().posted.fetch_add(1, std::memory_order_relaxed);
  std::vector<bool> dropped;
  int error = enter_batch(ours, device, dropped);
  if (error == 0) {
    for (Request& each : ours.requests) {
      if (watch.on()) watch.posted(pair, each.as_send());
    }
    error = hand_over(ours, face, dropped);
    for (size_t i = 0; i < ours.requests.size(); ++i) {
      if (error != 0 && watch.on()) watch.withdraw(pair);
      if (error != 0 || !books.possible()) continue;
      ibv_send_wr send = ours.requests[i].as_send();
      dropped[i] ? books.dropped(&pair, send) : books.posted(&pair, send);
    }
  }
  if (error != 0) Line(device, "ibv_post_send").add("errno", error).add("number", pair.qp_num);
  ours.requests.clear();
  return error == 0 ? 0 : errno = error;
}

template <auto kMember, typename Function>
void front(ibv_qp_ex* face, Function ours) {
  if (face->*kMember) face->*kMember = ours;
}

template <auto kMember, ibv_wr_opcode kOpcode>
void front(ibv_qp_ex* face) {
  front<kMember>(face, Operation<kMember, kOpcode>::put);
}

// What the tables had when these functions were written; requests of later kinds would reach the
// device outside of a batch.
constexpr uint64_t kKnown =
    IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM | IBV_QP_EX_WITH_SEND |
    IBV_QP_EX_WITH_SEND_WITH_IMM | IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
    IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD | IBV_QP_EX_WITH_LOCAL_INV | IBV_QP_EX_WITH_BIND_MW |
    IBV_QP_EX_WITH_SEND_WITH_INV | IBV_QP_EX_WITH_TSO | IBV_QP_EX_WITH_ATOMIC_WRITE;

}  // namespace

void take_sends(ibv_qp* pair, uint64_t operations) {
  static auto ask = real<ibv_qp_ex* (*)(ibv_qp*)>("ibv_qp_to_qp_ex");
  ibv_qp_ex* face = (operations & ~kKnown) == 0 ? ask(pair) : nullptr;
  if (!face) return;
  pairs().add(face).real = *face;
  front<&ibv_qp_ex::wr_atomic_cmp_swp, IBV_WR_ATOMIC_CMP_AND_SWP>(face);
  front<&ibv_qp_ex::wr_atomic_fetch_add, IBV_WR_ATOMIC_FETCH_AND_ADD>(face);
  front<&ibv_qp_ex::wr_local_inv, IBV_WR_LOCAL_INV>(face);
  front<&ibv_qp_ex::wr_rdma_read, IBV_WR_RDMA_READ>(face);
  front<&ibv_qp_ex::wr_rdma_write, IBV_WR_RDMA_WRITE>(face);
  front<&ibv_qp_ex::wr_rdma_write_imm, IBV_WR_RDMA_WRITE_WITH_IMM>(face);
  front<&ibv_qp_ex::wr_send, IBV_WR_SEND>(face);
  front<&ibv_qp_ex::wr_send_imm, IBV_WR_SEND_WITH_IMM>(face);
  front<&ibv_qp_ex::wr_send_inv, IBV_WR_SEND_WITH_INV>(face);
  front<&ibv_qp_ex::wr_bind_mw>(face, bind_window);
  front<&ibv_qp_ex::wr_send_tso>(face, send_segmented);
  front<&ibv_qp_ex::wr_set_ud_addr>(face, set_ud_address);
  front<&ibv_qp_ex::wr_set_xrc_srqn>(face, set_shared_queue);
  front<&ibv_qp_ex::wr_set_inline_data>(face, set_inline);
  front<&ibv_qp_ex::wr_set_inline_data_list>(face, set_inline_list);
  front<&ibv_qp_ex::wr_set_sge>(face, set_piece);
  front<&ibv_qp_ex::wr_set_sge_list>(face, set_pieces);
  front<&ibv_qp_ex::wr_start>(face, start);
  front<&ibv_qp_ex::wr_complete>(face, complete);
  front<&ibv_qp_ex::wr_abort>(face, abort);
  // The table of an older library ends before it.
  if (operations & IBV_QP_EX_WITH_ATOMIC_WRITE)
    front<&ibv_qp_ex::wr_atomic_write>(face, write_atomic);
}

void give_back_sends(const ibv_qp* pair) {
  // An extended queue pair begins with the plain one.
  pairs().remove(pair);
}

}  // namespace railyard::passthrough
