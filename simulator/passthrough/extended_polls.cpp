#include <cerrno>
#include <optional>

#include "passthrough/drops.h"
#include "passthrough/extended.h"
#include "passthrough/traffic.h"

namespace railyard::passthrough {

namespace {

struct Queue {
  ibv_cq_ex real;              // its own functions; of this copy nothing else is used
  std::optional<ibv_wc> owed;  // the current completion, if it is one of a dropped send
  bool polling = false;        // the device's own poll has begun and not ended
};

Fronts<ibv_cq_ex, Queue>& queues() {
  static auto& all = *new Fronts<ibv_cq_ex, Queue>;
  return all;
}

const Device& device_of_queue(const ibv_cq_ex* face) { return device_of(face->context); }

// The device's current completion: seen, and altered by rules.
void look_at_current(Queue& ours, ibv_cq_ex* face) {
  ibv_wc completion{};
  completion.wr_id = face->wr_id;
  completion.status = face->status;
  completion.opcode = ours.real.read_opcode(face);
  if (ours.real.read_qp_num) completion.qp_num = ours.real.read_qp_num(face);
  if (Drops::instance().possible()) Drops::instance().note(face->context, completion);
  alter(face->context, device_of_queue(face), completion);
  face->status = completion.status;
}

// Makes the completion of a dropped send the current one; ENOENT: none is due.
int give_owed(Queue& ours, ibv_cq_ex* face) {
  ours.owed.reset();
  ibv_wc completion;
  if (!Drops::instance().possible() || !Drops::instance().take(ibv_cq_ex_to_cq(face), completion)) {
    return ENOENT;
  }
  alter(face->context, device_of_queue(face), completion);
  ours.owed = completion;
  face->wr_id = completion.wr_id;
  face->status = completion.status;
  return 0;
}

int start_poll(ibv_cq_ex* face, ibv_poll_cq_attr* attributes) {
  Queue& ours = queues().of(face);
  if (int error = enter_poll(name_of_device(face->context))) return errno = error;
  int result = ours.real.start_poll(face, attributes);
  ours.polling = result == 0;
  if (result == 0) look_at_current(ours, face);
  if (result == ENOENT) result = give_owed(ours, face);
  if (result == 0 || result == ENOENT) note_poll(result == 0);
  return result;
}

int next_poll(ibv_cq_ex* face) {
  Queue& ours = queues().of(face);
  int result = ENOENT;
  if (ours.polling && !ours.owed) {
    result = ours.real.next_poll(face);
    if (result == 0) look_at_current(ours, face);
  }
  if (result == ENOENT) result = give_owed(ours, face);
  if (result == 0) note_poll(true);
  return result;
}

void end_poll(ibv_cq_ex* face) {
  Queue& ours = queues().of(face);
  ours.owed.reset();
  if (ours.polling) ours.real.end_poll(face);
  ours.polling = false;
}

// What is told of the current completion: by the device, or of a dropped send.
template <auto kMember, typename Value, Value (*kOfOwed)(const ibv_wc&)>
Value read(ibv_cq_ex* face) {
  Queue& ours = queues().of(face);
  return ours.owed ? kOfOwed(*ours.owed) : (ours.real.*kMember)(face);
}

template <typename Value>
Value nothing(const ibv_wc&) {
  return {};
}
ibv_wc_opcode opcode_of(const ibv_wc& completion) { return completion.opcode; }
uint32_t number_of(const ibv_wc& completion) { return completion.qp_num; }

template <auto kMember, typename Value, Value (*kOfOwed)(const ibv_wc&) = nothing<Value>>
void front(ibv_cq_ex* face) {
  if (face->*kMember) face->*kMember = read<kMember, Value, kOfOwed>;
}

}  // namespace

void take_polls(ibv_cq_ex* face) {
  if (!face->start_poll) return;
  queues().add(face).real = *face;
  face->start_poll = start_poll;
  face->next_poll = next_poll;
  face->end_poll = end_poll;
  front<&ibv_cq_ex::read_opcode, ibv_wc_opcode, opcode_of>(face);
  front<&ibv_cq_ex::read_qp_num, uint32_t, number_of>(face);
  front<&ibv_cq_ex::read_vendor_err, uint32_t>(face);
  front<&ibv_cq_ex::read_byte_len, uint32_t>(face);
  front<&ibv_cq_ex::read_imm_data, __be32>(face);
  front<&ibv_cq_ex::read_src_qp, uint32_t>(face);
  front<&ibv_cq_ex::read_wc_flags, unsigned>(face);
  front<&ibv_cq_ex::read_slid, uint32_t>(face);
  front<&ibv_cq_ex::read_sl, uint8_t>(face);
  front<&ibv_cq_ex::read_dlid_path_bits, uint8_t>(face);
  front<&ibv_cq_ex::read_completion_ts, uint64_t>(face);
  front<&ibv_cq_ex::read_cvlan, uint16_t>(face);
  front<&ibv_cq_ex::read_flow_tag, uint32_t>(face);
  front<&ibv_cq_ex::read_completion_wallclock_ns, uint64_t>(face);
}

void give_back_polls(const ibv_cq* queue) { queues().remove(queue); }

}  // namespace railyard::passthrough
