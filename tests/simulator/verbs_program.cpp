#include "verbs_program.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace railyard::test {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(what + ": " + strerror(errno));
}

void need(int result, const char* what) {
  if (result == 0) return;
  errno = result > 0 ? result : errno;
  give_up(what);
}

uint8_t byte_at(uint64_t seed, size_t offset) {
  uint64_t mixed = (seed + 1) * 0x9e3779b97f4a7c15 + offset * 0xbf58476d1ce4e5b9;
  return static_cast<uint8_t>(mixed >> 56 ^ mixed >> 29);
}

}  // namespace

Program::Program(int device) {
  int count = 0;
  std::unique_ptr<ibv_device*, void (*)(ibv_device**)> list(ibv_get_device_list(&count),
                                                            ibv_free_device_list);
  if (!list || device >= count) give_up("no device " + std::to_string(device));
  open(list.get()[device]);
}

Program::Program(const std::string& device) {
  int count = 0;
  std::unique_ptr<ibv_device*, void (*)(ibv_device**)> list(ibv_get_device_list(&count),
                                                            ibv_free_device_list);
  for (int i = 0; i < count; ++i) {
    if (device == ibv_get_device_name(list.get()[i])) open(list.get()[i]);
  }
  if (!context) give_up("no device " + device);
}

void Program::open(ibv_device* device) {
  context = ibv_open_device(device);
  if (!context) give_up("ibv_open_device");
  domain = ibv_alloc_pd(context);
  if (!domain) give_up("ibv_alloc_pd");
}

Program::~Program() {
  EXPECT_EQ(ibv_dealloc_pd(domain), 0);
  EXPECT_EQ(ibv_close_device(context), 0);
}

ibv_device_attr Program::device_attributes() const {
  ibv_device_attr attributes{};
  need(ibv_query_device(context, &attributes), "ibv_query_device");
  return attributes;
}

ibv_port_attr Program::port_attributes() const {
  ibv_port_attr attributes{};
  need(ibv_query_port(context, 1, &attributes), "ibv_query_port");
  return attributes;
}

ibv_gid Program::gid(int index) const {
  ibv_gid gid{};
  need(ibv_query_gid(context, 1, index, &gid), "ibv_query_gid");
  return gid;
}

int Program::gid_index() const {
  if (port_attributes().gid_tbl_len < 2) return 0;
  ibv_gid zero{};
  ibv_gid second = gid(1);
  return memcmp(&second, &zero, sizeof zero) == 0 ? 0 : 1;
}

Buffer::Buffer(Program& program, size_t bytes, int access)
    : Buffer(program,
             static_cast<uint8_t*>(
                 mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
             bytes, access) {}

Buffer::Buffer(Program& program, uint8_t* memory, size_t bytes, int access)
    : bytes_(bytes), data_(memory) {
  if (memory == MAP_FAILED) give_up("mmap");
  region_ = ibv_reg_mr(program.domain, data_, bytes, access);
  if (!region_) give_up("ibv_reg_mr");
}

Buffer::~Buffer() {
  EXPECT_EQ(ibv_dereg_mr(region_), 0);
  munmap(data_, bytes_);
}

ibv_sge Buffer::piece(size_t offset, size_t bytes) const {
  return {reinterpret_cast<uint64_t>(data_ + offset), static_cast<uint32_t>(bytes), region_->lkey};
}

void Buffer::fill(uint64_t seed, size_t offset, size_t bytes) {
  size_t end = offset + std::min(bytes, bytes_ - offset);
  for (size_t i = offset; i < end; ++i) data_[i] = byte_at(seed, i - offset);
}

// What was put there by the helper thread, the program may know from another process: the thread
// sanitizer does not see that.
__attribute__((no_sanitize("thread"))) bool Buffer::holds(uint64_t seed, size_t offset,
                                                          size_t bytes) const {
  size_t end = offset + std::min(bytes, bytes_ - offset);
  for (size_t i = offset; i < end; ++i) {
    if (data_[i] != byte_at(seed, i - offset)) {
      ADD_FAILURE() << "byte " << i - offset << " of " << end - offset << " is " << int{data_[i]}
                    << ", not " << int{byte_at(seed, i - offset)};
      return false;
    }
  }
  return true;
}

Queue::Queue(Program& program, int entries, ibv_comp_channel* channel)
    : queue_(ibv_create_cq(program.context, entries, nullptr, channel, 0)) {
  if (!queue_) give_up("ibv_create_cq");
}

Queue::~Queue() { EXPECT_EQ(ibv_destroy_cq(queue_), 0); }

ibv_wc Queue::next(Milliseconds patience) {
  auto deadline = std::chrono::steady_clock::now() + patience;
  ibv_wc completion{};
  do {
    int found = ibv_poll_cq(queue_, 1, &completion);
    if (found == 1) return completion;
    if (found < 0) {
      ADD_FAILURE() << "ibv_poll_cq returned " << found;
      break;
    }
    sched_yield();
  } while (std::chrono::steady_clock::now() < deadline);
  ADD_FAILURE() << "no completion";
  completion = {};
  completion.status = IBV_WC_GENERAL_ERR;
  return completion;
}

std::vector<ibv_wc> Queue::next(size_t count, Milliseconds patience) {
  std::vector<ibv_wc> completions;
  while (completions.size() < count) {
    completions.push_back(next(patience));
    if (completions.back().status == IBV_WC_GENERAL_ERR) break;
  }
  return completions;
}

bool Queue::quiet(Milliseconds time) {
  auto deadline = std::chrono::steady_clock::now() + time;
  ibv_wc completion{};
  do {
    if (ibv_poll_cq(queue_, 1, &completion) != 0) {
      ADD_FAILURE() << "a completion of request " << completion.wr_id << " with status "
                    << ibv_wc_status_str(completion.status);
      return false;
    }
    sched_yield();
  } while (std::chrono::steady_clock::now() < deadline);
  return true;
}

Pair::Pair(Program& program, Queue& sends, Queue& receives, PairOptions options)
    : program_(program), options_(options) {
  ibv_qp_init_attr wanted{};
  wanted.send_cq = sends.get();
  wanted.recv_cq = receives.get();
  wanted.srq = options.shared;
  wanted.qp_type = options.type;
  wanted.sq_sig_all = options.signal_all;
  wanted.cap = {options.sends, options.receives, options.pieces, options.pieces,
                options.inline_bytes};
  pair_ = ibv_create_qp(program.domain, &wanted);
  if (!pair_) give_up("ibv_create_qp");
  granted_ = wanted.cap;
}

Pair::~Pair() { EXPECT_EQ(ibv_destroy_qp(pair_), 0); }

Address Pair::address() const {
  return {number(), program_.port_attributes().lid, program_.gid(program_.gid_index())};
}

ibv_qp_state Pair::state() const {
  ibv_qp_attr attributes{};
  ibv_qp_init_attr initial{};
  need(ibv_query_qp(pair_, &attributes, IBV_QP_STATE, &initial), "ibv_query_qp");
  return attributes.qp_state;
}

int Pair::mask(ibv_qp_state state) const {
  bool reliable = options_.type == IBV_QPT_RC;
  bool datagrams = options_.type == IBV_QPT_UD;
  switch (state) {
    case IBV_QPS_INIT:
      if (datagrams) return IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY;
      return IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS;
    case IBV_QPS_RTR:
      if (datagrams) return IBV_QP_STATE;
      return IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
             (reliable ? IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER : 0);
    case IBV_QPS_RTS:
      return IBV_QP_STATE | IBV_QP_SQ_PSN |
             (reliable
                  ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC
                  : 0);
    default:
      return IBV_QP_STATE;
  }
}

ibv_qp_attr Pair::attributes(ibv_qp_state state, const Address& peer) const {
  ibv_qp_attr attributes{};
  attributes.qp_state = state;
  attributes.port_num = 1;
  attributes.qp_access_flags = options_.access;
  attributes.qkey = options_.qkey;
  attributes.path_mtu = program_.port_attributes().active_mtu;
  attributes.dest_qp_num = peer.number;
  attributes.max_dest_rd_atomic = options_.type == IBV_QPT_RC ? 1 : 0;
  attributes.max_rd_atomic = attributes.max_dest_rd_atomic;
  attributes.min_rnr_timer = options_.rnr_timer;
  attributes.timeout = options_.timeout;
  attributes.retry_cnt = options_.retries;
  attributes.rnr_retry = options_.rnr_retries;
  attributes.ah_attr.port_num = 1;
  attributes.ah_attr.dlid = peer.lid;
  if (peer.lid == 0) {
    attributes.ah_attr.is_global = 1;
    attributes.ah_attr.grh.dgid = peer.gid;
    attributes.ah_attr.grh.sgid_index = static_cast<uint8_t>(program_.gid_index());
    attributes.ah_attr.grh.hop_limit = 1;
  }
  return attributes;
}

int Pair::to_init() {
  ibv_qp_attr wanted = attributes(IBV_QPS_INIT);
  return ibv_modify_qp(pair_, &wanted, mask(IBV_QPS_INIT));
}

int Pair::to_rtr(const Address& peer) {
  ibv_qp_attr wanted = attributes(IBV_QPS_RTR, peer);
  return ibv_modify_qp(pair_, &wanted, mask(IBV_QPS_RTR));
}

int Pair::to_rts() {
  ibv_qp_attr wanted = attributes(IBV_QPS_RTS);
  return ibv_modify_qp(pair_, &wanted, mask(IBV_QPS_RTS));
}

int Pair::to(ibv_qp_state state) {
  ibv_qp_attr wanted{};
  wanted.qp_state = state;
  return ibv_modify_qp(pair_, &wanted, IBV_QP_STATE);
}

void Pair::connect(const Address& peer) {
  need(to_init(), "to INIT");
  need(to_rtr(peer), "to RTR");
  need(to_rts(), "to RTS");
}

int Pair::send(const std::vector<ibv_sge>& pieces, const Request& request) {
  ibv_send_wr wanted{}, *bad = nullptr;
  wanted.wr_id = request.id;
  wanted.sg_list = const_cast<ibv_sge*>(pieces.data());
  wanted.num_sge = static_cast<int>(pieces.size());
  wanted.opcode = request.opcode;
  wanted.send_flags = request.flags;
  wanted.imm_data = request.immediate;
  if (request.handle) {
    wanted.wr.ud = {request.handle, request.number, request.qkey};
  } else if (request.opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
             request.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
    wanted.wr.atomic = {request.to.address, request.compare_add, request.swap, request.to.key};
  } else {
    wanted.wr.rdma = {request.to.address, request.to.key};
  }
  int result = ibv_post_send(pair_, &wanted, &bad);
  if (result != 0) {
    EXPECT_EQ(bad, &wanted);
  }
  return result;
}

int Pair::receive(const std::vector<ibv_sge>& pieces, uint64_t id) {
  ibv_recv_wr wanted{}, *bad = nullptr;
  wanted.wr_id = id;
  wanted.sg_list = const_cast<ibv_sge*>(pieces.data());
  wanted.num_sge = static_cast<int>(pieces.size());
  int result = ibv_post_recv(pair_, &wanted, &bad);
  if (result != 0) {
    EXPECT_EQ(bad, &wanted);
  }
  return result;
}

LocalPair::LocalPair(Program& program, PairOptions options)
    : left_queue(program),
      right_queue(program),
      left(program, left_queue, options),
      right(program, right_queue, options) {
  left.connect(right.address());
  right.connect(left.address());
}

ibv_xrcd* open_domain(Program& program, int descriptor, int flags) {
  ibv_xrcd_init_attr wanted{};
  wanted.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS;
  wanted.fd = descriptor;
  wanted.oflags = flags;
  return ibv_open_xrcd(program.context, &wanted);
}

ibv_srq* create_extended_queue(Program& program, ibv_xrcd* domain, Queue& completions,
                               uint32_t receives) {
  ibv_srq_init_attr_ex wanted{};
  wanted.attr.max_wr = receives;
  wanted.attr.max_sge = 1;
  wanted.comp_mask =
      IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ | IBV_SRQ_INIT_ATTR_PD;
  wanted.srq_type = IBV_SRQT_XRC;
  wanted.xrcd = domain;
  wanted.cq = completions.get();
  wanted.pd = program.domain;
  return ibv_create_srq_ex(program.context, &wanted);
}

}  // namespace railyard::test
