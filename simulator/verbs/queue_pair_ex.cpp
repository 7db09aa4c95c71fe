// Building work requests: ibv_wr_start() ... ibv_wr_complete(). What is built becomes a list of ordinary
// work requests, so that there is one way for a message.
#include <cerrno>
#include <cstring>
#include <mutex>

#include "device/context.h"
#include "device/queue_pair.h"
#include "verbs/operations.h"

namespace railyard::sim {

namespace {

QueuePair& from(ibv_qp_ex* pair) { return *static_cast<QueuePair*>(pair); }

ibv_send_wr& begin(ibv_qp_ex* face, ibv_wr_opcode opcode) {
  RequestBuilder& builder = from(face).builder;
  BuiltRequest& built = builder.next();
  built.request = {};
  built.request.wr_id = face->wr_id;
  built.request.send_flags = face->wr_flags;
  built.request.opcode = opcode;
  return built.request;
}

void one_sided(ibv_qp_ex* face, ibv_wr_opcode opcode, uint32_t key, uint64_t address) {
  ibv_send_wr& request = begin(face, opcode);
  request.wr.rdma.rkey = key;
  request.wr.rdma.remote_addr = address;
}

void unsupported(ibv_qp_ex* face) {
  RequestBuilder& builder = from(face).builder;
  builder.next().request = {};
  builder.fail(EOPNOTSUPP);
}

// One bad request aborts the whole batch (ibv_wr_post(3)), unlike a list given to ibv_post_send().
int complete(ibv_qp_ex* face) {
  QueuePair& pair = from(face);
  RequestBuilder& builder = pair.builder;
  if (builder.error() != 0 || builder.empty()) return builder.error();
  ibv_send_wr *requests = builder.chain(), *bad = nullptr;
  if (requests->next) {
    std::lock_guard guard(pair.owner().lock);
    if (int error = pair.check_all(requests)) return error;
  }
  return post_send(&face->qp_base, requests, &bad);
}

}  // namespace

void install_operations(QueuePair& pair) {
  pair.wr_start = [](ibv_qp_ex* qp) { from(qp).builder.clear(); };
  pair.wr_complete = complete;
  pair.wr_abort = [](ibv_qp_ex* qp) { from(qp).builder.clear(); };

  pair.wr_send = [](ibv_qp_ex* qp) { begin(qp, IBV_WR_SEND); };
  pair.wr_send_imm = [](ibv_qp_ex* qp, __be32 immediate) {
    begin(qp, IBV_WR_SEND_WITH_IMM).imm_data = immediate;
  };
  pair.wr_rdma_write = [](ibv_qp_ex* qp, uint32_t key, uint64_t address) {
    one_sided(qp, IBV_WR_RDMA_WRITE, key, address);
  };
  pair.wr_rdma_write_imm = [](ibv_qp_ex* qp, uint32_t key, uint64_t address, __be32 immediate) {
    one_sided(qp, IBV_WR_RDMA_WRITE_WITH_IMM, key, address);
    from(qp).builder.last().request.imm_data = immediate;
  };
  pair.wr_rdma_read = [](ibv_qp_ex* qp, uint32_t key, uint64_t address) {
    one_sided(qp, IBV_WR_RDMA_READ, key, address);
  };

  pair.wr_set_sge = [](ibv_qp_ex* qp, uint32_t key, uint64_t address, uint32_t bytes) {
    from(qp).builder.last().set_piece({address, bytes, key});
  };
  pair.wr_set_sge_list = [](ibv_qp_ex* qp, size_t count, const ibv_sge* pieces) {
    from(qp).builder.last().set_pieces(pieces, count);
  };
  pair.wr_set_inline_data = [](ibv_qp_ex* qp, void* address, size_t bytes) {
    ibv_data_buf piece{address, bytes};
    from(qp).builder.set_inline(&piece, 1);
  };
  pair.wr_set_inline_data_list = [](ibv_qp_ex* qp, size_t count, const ibv_data_buf* pieces) {
    from(qp).builder.set_inline(pieces, count);
  };

  pair.wr_atomic_cmp_swp = [](ibv_qp_ex* qp, uint32_t key, uint64_t address, uint64_t compare,
                              uint64_t swap) {
    begin(qp, IBV_WR_ATOMIC_CMP_AND_SWP).wr.atomic = {address, compare, swap, key};
  };
  pair.wr_atomic_fetch_add = [](ibv_qp_ex* qp, uint32_t key, uint64_t address, uint64_t add) {
    begin(qp, IBV_WR_ATOMIC_FETCH_AND_ADD).wr.atomic = {address, add, 0, key};
  };
  pair.wr_bind_mw = [](ibv_qp_ex* qp, ibv_mw* window, uint32_t key, const ibv_mw_bind_info* bind) {
    begin(qp, IBV_WR_BIND_MW).bind_mw = {window, key, *bind};
  };
  pair.wr_local_inv = [](ibv_qp_ex* qp, uint32_t key) {
    begin(qp, IBV_WR_LOCAL_INV).invalidate_rkey = key;
  };
  pair.wr_send_inv = [](ibv_qp_ex* qp, uint32_t key) {
    begin(qp, IBV_WR_SEND_WITH_INV).invalidate_rkey = key;
  };
  pair.wr_set_ud_addr = [](ibv_qp_ex* qp, ibv_ah* address, uint32_t number, uint32_t qkey) {
    from(qp).builder.last().request.wr.ud = {address, number, qkey};
  };
  pair.wr_set_xrc_srqn = [](ibv_qp_ex* qp, uint32_t number) {
    from(qp).builder.last().request.qp_type.xrc.remote_srqn = number;
  };
  pair.wr_atomic_write = [](ibv_qp_ex* qp, uint32_t, uint64_t, const void*) { unsupported(qp); };
  pair.wr_send_tso = [](ibv_qp_ex* qp, void*, uint16_t, uint16_t) { unsupported(qp); };
}

}  // namespace railyard::sim
