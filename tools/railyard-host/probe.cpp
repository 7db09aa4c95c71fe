#include "probe.h"

#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>

#include "hardware/channel.h"
#include "verbs_table.h"

namespace railyard::host {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr size_t kPage = 16384;      // of Apple silicon; a whole number of everybody's
constexpr uint32_t kMessage = 4096;  // one frame
constexpr uint32_t kFirstPacket = 0;

[[noreturn]] void fail(const char* call, int error) {
  throw std::runtime_error(std::string(call) + ": " + std::strerror(error));
}

// One device: open while the program runs, since a device may allow one context only, and not close
// it soon. At most one queue pair at a time.
class Probed {
 public:
  Probed(const VerbsTable& verbs, ibv_device* device) : verbs_(verbs) {
    context_ = verbs.open(device);
    if (!context_) fail("ibv_open_device", errno);
    domain_ = verbs.alloc_pd(context_);
    if (!domain_) fail("ibv_alloc_pd", errno);
    memory_ = static_cast<std::byte*>(std::aligned_alloc(kPage, kPage));
    std::memset(memory_, 0, kPage);
    region_ = verbs.reg_mr(domain_, memory_, kPage, IBV_ACCESS_LOCAL_WRITE);
    if (!region_) fail("ibv_reg_mr", errno);
    completions_ = verbs.create_cq(context_, 16, nullptr, nullptr, 0);
    if (!completions_) fail("ibv_create_cq", errno);
    choose_address();
  }

  json offer() {
    drop();
    ibv_qp_init_attr wanted{};
    wanted.send_cq = wanted.recv_cq = completions_;
    wanted.cap.max_send_wr = wanted.cap.max_recv_wr = 4;
    wanted.cap.max_send_sge = wanted.cap.max_recv_sge = 1;
    // UC is what Thunderbolt devices have; others may have RC alone.
    for (ibv_qp_type type : {IBV_QPT_UC, IBV_QPT_RC}) {
      wanted.qp_type = type;
      pair_ = verbs_.create_qp(domain_, &wanted);
      if (pair_) break;
    }
    if (!pair_) fail("ibv_create_qp", errno);
    reliable_ = wanted.qp_type == IBV_QPT_RC;
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = 1;
    change(attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
           "ibv_modify_qp to INIT");
    return {{"is", "offer"},
            {"gid", text_of(address_)},
            {"lid", lid_},
            {"number", pair_->qp_num},
            {"reliable", reliable_}};
  }

  // To ready-to-send with a receive posted; refused where the device knows that no cable leads
  // there.
  void connect(const json& peer) {
    if (peer.at("reliable") != reliable_) fail("ibv_create_qp", EPROTONOSUPPORT);
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_RTR;
    attributes.path_mtu = IBV_MTU_1024;
    attributes.dest_qp_num = peer.at("number");
    attributes.rq_psn = kFirstPacket;
    attributes.max_dest_rd_atomic = 1;
    attributes.min_rnr_timer = 12;
    attributes.ah_attr.port_num = 1;
    attributes.ah_attr.is_global = 1;
    attributes.ah_attr.dlid = peer.at("lid");
    attributes.ah_attr.grh.hop_limit = 1;
    attributes.ah_attr.grh.sgid_index = static_cast<uint8_t>(row_);
    inet_pton(AF_INET6, peer.at("gid").get<std::string>().c_str(), attributes.ah_attr.grh.dgid.raw);
    int mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
    if (reliable_) mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
    change(attributes, mask, "ibv_modify_qp to RTR");
    attributes = {};
    attributes.qp_state = IBV_QPS_RTS;
    attributes.sq_psn = kFirstPacket;
    attributes.timeout = 10;  // 4 ms, and few retries: silence is an answer
    attributes.retry_cnt = attributes.rnr_retry = 2;
    attributes.max_rd_atomic = 1;
    mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
    if (reliable_) {
      mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
    }
    change(attributes, mask, "ibv_modify_qp to RTS");
    ibv_sge room = piece(0);
    ibv_recv_wr receive{}, *bad = nullptr;
    receive.wr_id = 1;
    receive.sg_list = &room;
    receive.num_sge = 1;
    if (int error = ibv_post_recv(pair_, &receive, &bad)) fail("ibv_post_recv", error);
  }

  void send() {
    ibv_sge data = piece(kMessage);
    ibv_send_wr send{}, *bad = nullptr;
    send.sg_list = &data;
    send.num_sge = 1;
    send.opcode = IBV_WR_SEND;
    send.send_flags = IBV_SEND_SIGNALED;
    if (int error = ibv_post_send(pair_, &send, &bad)) fail("ibv_post_send", error);
  }

  // Whether the message comes in that time. Whoever sends must look, too: some devices move data
  // only while their owner polls.
  bool heard(milliseconds longest) {
    auto end = std::chrono::steady_clock::now() + longest;
    do {
      ibv_wc completion{};
      int count = ibv_poll_cq(completions_, 1, &completion);
      if (count > 0 && completion.wr_id == 1 && completion.qp_num == pair_->qp_num) {
        return completion.status == IBV_WC_SUCCESS;
      }
      if (count == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  void drop() {
    if (pair_) verbs_.destroy_qp(pair_);
    pair_ = nullptr;
    ibv_wc left[4];
    while (ibv_poll_cq(completions_, 4, left) > 0) {
    }
  }

 private:
  // An IPv4-mapped row where there is one: what routers and JACCL use; else the first.
  void choose_address() {
    ibv_port_attr port{};
    if (int error = verbs_.port(context_, 1, &port)) fail("ibv_query_port", error);
    lid_ = port.lid;
    row_ = -1;
    for (int row = 0; row < port.gid_tbl_len && row < 256; ++row) {
      ibv_gid gid{};
      if (verbs_.gid(context_, 1, row, &gid) != 0 || text_of(gid) == "::") continue;
      bool mapped = text_of(gid).starts_with("::ffff:");
      if (row_ >= 0 && !mapped) continue;
      row_ = row;
      address_ = gid;
      if (mapped) return;
    }
    if (row_ < 0) throw std::runtime_error("it has no GID; give its interface an address");
  }

  void change(ibv_qp_attr& attributes, int mask, const char* call) {
    int error = verbs_.modify_qp(pair_, &attributes, mask);
    if (error != 0) fail(call, error < 0 ? errno : error);
  }

  ibv_sge piece(size_t offset) const {
    return {reinterpret_cast<uint64_t>(memory_ + offset), kMessage, region_->lkey};
  }

  const VerbsTable& verbs_;
  ibv_context* context_ = nullptr;
  ibv_pd* domain_ = nullptr;
  ibv_mr* region_ = nullptr;
  ibv_cq* completions_ = nullptr;
  ibv_qp* pair_ = nullptr;
  std::byte* memory_ = nullptr;
  ibv_gid address_{};
  uint16_t lid_ = 0;
  int row_ = 0;
  bool reliable_ = false;
};

class Prober {
 public:
  explicit Prober(const VerbsTable& verbs) : verbs_(verbs) {
    int count = 0;
    ibv_device** list = verbs.list(&count);
    for (int i = 0; list && i < count; ++i) devices_[verbs.name(list[i])] = list[i];
  }

  json answer(const json& message) {
    Probed& device = probed(message.at("device"));
    std::string act = message.at("do");
    if (act == "offer") return device.offer();
    if (act == "connect") {
      device.connect(message);
    } else if (act == "send") {
      device.send();
    } else if (act == "hear") {
      return {{"is", "heard"},
              {"heard", device.heard(milliseconds(message.at("wait_ms").get<int>()))}};
    } else if (act == "drop") {
      device.drop();
    } else {
      throw std::runtime_error("unknown request " + act);
    }
    return {{"is", "done"}};
  }

 private:
  Probed& probed(const std::string& name) {
    auto device = devices_.find(name);
    if (device == devices_.end()) throw std::runtime_error("there is no device " + name);
    auto& open = open_[name];
    if (!open) open = std::make_unique<Probed>(verbs_, device->second);
    return *open;
  }

  const VerbsTable& verbs_;
  std::map<std::string, ibv_device*> devices_;
  std::map<std::string, std::unique_ptr<Probed>> open_;
};

}  // namespace

int probe() {
  harness::Channel channel(dup(STDIN_FILENO), dup(STDOUT_FILENO));
  std::string error;
  VerbsTable verbs = load_verbs(error);
  if (!error.empty()) {
    channel.send({{"is", "ready"}, {"error", error}});
    return 0;
  }
  Prober prober(verbs);
  channel.send({{"is", "ready"}});
  while (!channel.ended()) {
    std::optional<json> message = channel.receive(1000);
    if (!message) continue;
    try {
      channel.send(prober.answer(*message));
    } catch (const std::exception& failure) {
      channel.send({{"is", "failed"}, {"error", failure.what()}});
    }
  }
  _Exit(0);  // the library may have threads
}

}  // namespace railyard::host
