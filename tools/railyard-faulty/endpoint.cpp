#include "railyard-faulty/endpoint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

constexpr uint8_t kPort = 1;
constexpr size_t kFrameBytes = 4096;        // queue depths may be counted in frames (TN3205)
constexpr int kLinkLayerThunderbolt = 100;  // Apple's addition to the link layers
constexpr uint32_t kFirstPacket = 7;
constexpr uint64_t kReceive = uint64_t{1} << 32;  // in a work request's id

const char* status_name(ibv_wc_status status) {
  static constexpr std::array kNames = {
      "IBV_WC_SUCCESS",           "IBV_WC_LOC_LEN_ERR",
      "IBV_WC_LOC_QP_OP_ERR",     "IBV_WC_LOC_EEC_OP_ERR",
      "IBV_WC_LOC_PROT_ERR",      "IBV_WC_WR_FLUSH_ERR",
      "IBV_WC_MW_BIND_ERR",       "IBV_WC_BAD_RESP_ERR",
      "IBV_WC_LOC_ACCESS_ERR",    "IBV_WC_REM_INV_REQ_ERR",
      "IBV_WC_REM_ACCESS_ERR",    "IBV_WC_REM_OP_ERR",
      "IBV_WC_RETRY_EXC_ERR",     "IBV_WC_RNR_RETRY_EXC_ERR",
      "IBV_WC_LOC_RDD_VIOL_ERR",  "IBV_WC_REM_INV_RD_REQ_ERR",
      "IBV_WC_REM_ABORT_ERR",     "IBV_WC_INV_EECN_ERR",
      "IBV_WC_INV_EEC_STATE_ERR", "IBV_WC_FATAL_ERR",
      "IBV_WC_RESP_TIMEOUT_ERR",  "IBV_WC_GENERAL_ERR",
  };
  const auto index = static_cast<size_t>(status);
  return index < kNames.size() ? kNames[index] : "unknown";
}

bool is_ipv4_mapped(const ibv_gid& gid) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(gid.raw, kPrefix, sizeof(kPrefix)) == 0;
}

bool is_empty(const ibv_gid& gid) {
  return std::all_of(std::begin(gid.raw), std::end(gid.raw),
                     [](uint8_t byte) { return byte == 0; });
}

ibv_port_attr query_port(ibv_context* context) {
  ibv_port_attr port{};
  ibv_query_port(context, kPort, &port);
  return port;
}

size_t whole_pages(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

ContextPointer open_device(const std::string& name) {
  int count = 0;
  ibv_device** list = ibv_get_device_list(&count);
  ibv_device* found = nullptr;
  for (int i = 0; i < count; ++i) {
    if (name == ibv_get_device_name(list[i])) found = list[i];
  }
  errno = ENODEV;
  ContextPointer context(found == nullptr ? nullptr : ibv_open_device(found));
  const int error_number = errno;
  if (list != nullptr) ibv_free_device_list(list);
  if (context == nullptr) {
    throw WorkerError({.code = "device",
                       .operation = "ibv_open_device",
                       .device = name,
                       .error_number = error_number,
                       .status = "",
                       .message = fmt::format("{}: ibv_open_device: {} ({} devices are there)",
                                              name, std::strerror(error_number), count)});
  }
  return context;
}

Endpoint::Endpoint(ibv_context* context, std::string device, const Options& options)
    : context_(context), device_(std::move(device)), options_(options) {
  options_.slot_bytes = (options.slot_bytes + kFrameBytes - 1) / kFrameBytes * kFrameBytes;
  port_ = query_port(context);
  choose_gid();

  const size_t bytes = whole_pages(2 * options_.slots * options_.slot_bytes);
  void* memory = nullptr;
  if (posix_memalign(&memory, whole_pages(1), bytes) != 0) fail("posix_memalign", ENOMEM);
  memory_.reset(static_cast<std::byte*>(memory));
  std::memset(memory, 0, bytes);

  domain_.reset(ibv_alloc_pd(context));
  if (!domain_) fail("ibv_alloc_pd", errno);
  const int access = IBV_ACCESS_LOCAL_WRITE;
  region_.reset(ibv_reg_mr(domain_.get(), memory, bytes, access));
  if (!region_) fail("ibv_reg_mr", errno);
  const auto depth = static_cast<int>(2 * options_.slots);
  completions_.reset(ibv_create_cq(context, depth, nullptr, nullptr, 0));
  if (!completions_) fail("ibv_create_cq", errno);

  const auto frames = static_cast<uint32_t>(options_.slots * options_.slot_bytes / kFrameBytes);
  ibv_qp_init_attr wanted{};
  wanted.send_cq = completions_.get();
  wanted.recv_cq = completions_.get();
  wanted.qp_type = options_.transport == Transport::rc ? IBV_QPT_RC : IBV_QPT_UC;
  wanted.sq_sig_all = 1;
  wanted.cap = {.max_send_wr = frames,
                .max_recv_wr = frames,
                .max_send_sge = 1,
                .max_recv_sge = 1,
                .max_inline_data = 0};
  queue_pair_.reset(ibv_create_qp(domain_.get(), &wanted));
  if (!queue_pair_) fail("ibv_create_qp", errno);
}

bool Endpoint::is_thunderbolt(ibv_context* context) {
  return query_port(context).link_layer == kLinkLayerThunderbolt;
}

// The IPv4-mapped entry wherever it stands, else any that is there.
void Endpoint::choose_gid() {
  if (options_.gid_index >= 0) {
    gid_index_ = static_cast<uint8_t>(options_.gid_index);
    ibv_query_gid(context_, kPort, options_.gid_index, &gid_);
    return;
  }
  for (int index = 0; index < port_.gid_tbl_len; ++index) {
    ibv_gid gid{};
    if (ibv_query_gid(context_, kPort, index, &gid) != 0 || is_empty(gid)) continue;
    if (is_empty(gid_) || is_ipv4_mapped(gid)) {
      gid_ = gid;
      gid_index_ = static_cast<uint8_t>(index);
    }
    if (is_ipv4_mapped(gid)) return;
  }
}

void Endpoint::fail(const char* verb, int error_number) const {
  throw WorkerError({.code = "device",
                     .operation = verb,
                     .device = device_,
                     .peer = options_.peer,
                     .rail = options_.rail,
                     .error_number = error_number,
                     .status = "",
                     .message = fmt::format("{} (rank {}, rail {}): {}: {}", device_, options_.peer,
                                            options_.rail, verb, std::strerror(error_number))});
}

Address Endpoint::address() const {
  Address mine;
  mine.queue_pair = queue_pair_->qp_num;
  mine.packet = kFirstPacket;
  mine.local_id = port_.lid;
  std::memcpy(mine.gid, gid_.raw, sizeof(mine.gid));
  return mine;
}

void Endpoint::connect(const Address& peer) {
  const bool reliable = options_.transport == Transport::rc;
  const auto modify = [&](ibv_qp_attr& attributes, int mask, const char* to) {
    const int error_number = ibv_modify_qp(queue_pair_.get(), &attributes, mask);
    if (error_number != 0) fail(to, error_number);
  };

  ibv_qp_attr initialise{};
  initialise.qp_state = IBV_QPS_INIT;
  initialise.port_num = kPort;
  initialise.qp_access_flags = IBV_ACCESS_LOCAL_WRITE;
  modify(initialise, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
         "ibv_modify_qp to INIT");

  ibv_qp_attr receive{};
  receive.qp_state = IBV_QPS_RTR;
  receive.path_mtu = IBV_MTU_1024;
  receive.dest_qp_num = peer.queue_pair;
  receive.rq_psn = peer.packet;
  receive.max_dest_rd_atomic = 1;
  receive.min_rnr_timer = 1;  // 10 us
  receive.ah_attr.is_global = 1;
  receive.ah_attr.dlid = peer.local_id;
  receive.ah_attr.port_num = kPort;
  receive.ah_attr.grh.hop_limit = 1;
  receive.ah_attr.grh.sgid_index = gid_index_;
  std::memcpy(receive.ah_attr.grh.dgid.raw, peer.gid, sizeof(peer.gid));
  int mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
  if (reliable) mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
  modify(receive, mask, "ibv_modify_qp to RTR");

  ibv_qp_attr send{};
  send.qp_state = IBV_QPS_RTS;
  send.sq_psn = kFirstPacket;
  send.timeout = 14;  // 4.096 us * 2^14 = 67 ms
  send.retry_cnt = 7;
  send.rnr_retry = options_.rnr_retry;
  send.max_rd_atomic = 1;
  mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
  if (reliable) {
    mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
  }
  modify(send, mask, "ibv_modify_qp to RTS");
}

std::span<std::byte> Endpoint::send_slot(size_t slot) {
  return {memory_.get() + slot * options_.slot_bytes, options_.slot_bytes};
}

std::span<const std::byte> Endpoint::receive_slot(size_t slot) const {
  return {memory_.get() + (options_.slots + slot) * options_.slot_bytes, options_.slot_bytes};
}

void Endpoint::post_send(size_t slot, size_t bytes) {
  ibv_sge piece{};
  piece.addr = reinterpret_cast<uint64_t>(send_slot(slot).data());
  piece.length = static_cast<uint32_t>(bytes);
  piece.lkey = region_->lkey;
  ibv_send_wr request{};
  request.wr_id = slot;
  request.sg_list = &piece;
  request.num_sge = 1;
  request.opcode = IBV_WR_SEND;
  request.send_flags = IBV_SEND_SIGNALED;
  ibv_send_wr* bad = nullptr;
  const int error_number = ibv_post_send(queue_pair_.get(), &request, &bad);
  if (error_number != 0) fail("ibv_post_send", std::abs(error_number));
}

void Endpoint::post_receive(size_t slot, size_t bytes) {
  ibv_sge piece{};
  piece.addr = reinterpret_cast<uint64_t>(receive_slot(slot).data());
  piece.length = static_cast<uint32_t>(bytes);
  piece.lkey = region_->lkey;
  ibv_recv_wr request{};
  request.wr_id = kReceive | slot;
  request.sg_list = &piece;
  request.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  const int error_number = ibv_post_recv(queue_pair_.get(), &request, &bad);
  if (error_number != 0) fail("ibv_post_recv", std::abs(error_number));
}

std::optional<Completion> Endpoint::poll() {
  ibv_wc done{};
  const int count = ibv_poll_cq(completions_.get(), 1, &done);
  if (count < 0) fail("ibv_poll_cq", errno);
  if (count == 0) return std::nullopt;
  const bool received = (done.wr_id & kReceive) != 0;
  if (options_.reads_status && done.status != IBV_WC_SUCCESS) {
    const std::string status = status_name(done.status);
    throw WorkerError({.code = "completion-error",
                       .operation = received ? "ibv_post_recv" : "ibv_post_send",
                       .device = device_,
                       .peer = options_.peer,
                       .rail = options_.rail,
                       .status = status,
                       .message = fmt::format("{} (rank {}, rail {}): a {} completed with {}",
                                              device_, options_.peer, options_.rail,
                                              received ? "receive" : "send", status)});
  }
  return Completion{received ? Completion::Kind::receive : Completion::Kind::send,
                    static_cast<size_t>(done.wr_id & ~kReceive), received ? done.byte_len : 0};
}

}  // namespace railyard::faulty
