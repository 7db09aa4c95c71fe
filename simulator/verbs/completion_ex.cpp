// Reading an extended completion queue one completion at a time.
#include <cerrno>

#include "device/completion_queue.h"
#include "device/context.h"
#include "verbs/operations.h"

namespace railyard::sim {

namespace {

CompletionQueue& from(ibv_cq_ex* queue) { return *static_cast<CompletionQueue*>(queue); }
const ibv_wc& current(ibv_cq_ex* queue) { return from(queue).current.wc; }

int next(ibv_cq_ex* face) {
  CompletionQueue& queue = from(face);
  Completion& shown = queue.current;
  if (poll(queue.face(), 1, &shown.wc) != 1) return ENOENT;
  face->status = shown.wc.status;
  face->wr_id = shown.wc.wr_id;
  return 0;
}

int start(ibv_cq_ex* face, ibv_poll_cq_attr* attributes) {
  return attributes && attributes->comp_mask != 0 ? EINVAL : next(face);
}

}  // namespace

void install_operations(CompletionQueue& queue) {
  queue.start_poll = start;
  queue.next_poll = next;
  queue.end_poll = [](ibv_cq_ex*) {};
  queue.read_opcode = [](ibv_cq_ex* q) { return current(q).opcode; };
  queue.read_vendor_err = [](ibv_cq_ex* q) { return current(q).vendor_err; };
  queue.read_byte_len = [](ibv_cq_ex* q) { return current(q).byte_len; };
  queue.read_imm_data = [](ibv_cq_ex* q) { return current(q).imm_data; };
  queue.read_qp_num = [](ibv_cq_ex* q) { return current(q).qp_num; };
  queue.read_src_qp = [](ibv_cq_ex* q) { return current(q).src_qp; };
  queue.read_wc_flags = [](ibv_cq_ex* q) { return static_cast<unsigned>(current(q).wc_flags); };
  queue.read_slid = [](ibv_cq_ex* q) { return static_cast<uint32_t>(current(q).slid); };
  queue.read_sl = [](ibv_cq_ex* q) { return current(q).sl; };
  queue.read_dlid_path_bits = [](ibv_cq_ex* q) { return current(q).dlid_path_bits; };
  queue.read_completion_ts = [](ibv_cq_ex* q) { return from(q).current.ticks; };
  queue.read_cvlan = [](ibv_cq_ex*) { return uint16_t{0}; };
  queue.read_flow_tag = [](ibv_cq_ex*) { return uint32_t{0}; };
  queue.read_tm_info = [](ibv_cq_ex*, ibv_wc_tm_info* info) { *info = {}; };
  queue.read_completion_wallclock_ns = [](ibv_cq_ex* q) {
    return static_cast<uint64_t>(from(q).owner().segment().to_ns(from(q).current.ticks));
  };
}

}  // namespace railyard::sim
