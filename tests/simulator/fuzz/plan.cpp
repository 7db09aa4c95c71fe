#include "plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "rules.h"

namespace railyard::fuzz {
namespace {

// The standard's distributions differ between libraries; a seed is to mean the same everywhere.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  uint64_t word() { return engine_(); }
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(engine_() % end); }
  bool chance(uint32_t percent) { return below(100) < percent; }
  template <typename T, size_t n>
  T one_of(const T (&choices)[n]) {
    return choices[below(n)];
  }

 private:
  std::mt19937_64 engine_;
};

uint32_t draw_size(Dice& dice) {
  static constexpr uint32_t kEdges[] = {0,    1,    7,    8,     24,    63,    64,    511,
                                        4095, 4096, 4097, 32767, 32768, 32769, 65536, 100'000};
  return dice.chance(50) ? dice.one_of(kEdges) : dice.below(600);
}

EndPlan draw_end(Dice& dice, int rank, const Rules& rules) {
  EndPlan end{};
  end.rank = rank;
  end.sends = 1 + dice.below(24);
  end.receives = 1 + dice.below(24);
  end.signal_all = dice.chance(50);
  end.own_queue = dice.chance(60);
  end.channel = end.own_queue && dice.chance(50);
  end.rnr_retries = static_cast<uint8_t>(dice.chance(70) ? 7 : dice.below(7));  // 7: for ever
  end.inline_bytes = dice.chance(60) ? std::min(rules.most_inline, 8 + dice.below(256)) : 0;
  return end;
}

Act draw_act(Dice& dice) {
  uint32_t at = dice.below(1000);
  if (at < 360) return Act::send;
  if (at < 700) return Act::receive;
  if (at < 850) return Act::poll;
  if (at < 880) return Act::query;
  if (at < 900) return Act::misstep;
  if (at < 908) return Act::fail;
  if (at < 914) return Act::reset;
  if (at < 919) return Act::destroy;
  if (at < 922) return Act::rereg;
  if (at < 925) return Act::unplug;
  if (at < 935) return Act::plug;
  if (at < 938) return Act::swap;
  return at < 970 ? Act::reconnect : Act::settle;
}

Key draw_key(Dice& dice, uint32_t kinds) {
  return dice.chance(97) ? Key::good : static_cast<Key>(1 + dice.below(kinds - 1));
}

Step draw_step(Dice& dice, int number, uint32_t connections, const Rules& rules) {
  static constexpr ibv_wr_opcode kOpcodes[] = {IBV_WR_SEND,
                                               IBV_WR_SEND,
                                               IBV_WR_SEND,
                                               IBV_WR_SEND,
                                               IBV_WR_SEND_WITH_IMM,
                                               IBV_WR_RDMA_WRITE,
                                               IBV_WR_RDMA_WRITE,
                                               IBV_WR_RDMA_READ,
                                               IBV_WR_RDMA_WRITE_WITH_IMM,
                                               IBV_WR_RDMA_READ,
                                               IBV_WR_ATOMIC_CMP_AND_SWP,
                                               IBV_WR_ATOMIC_FETCH_AND_ADD};
  static constexpr ibv_qp_state kStates[] = {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS};
  Step step{};
  step.number = number;
  step.act = draw_act(dice);
  step.connection = static_cast<int>(dice.below(connections));
  step.side = static_cast<int>(dice.below(2));
  step.opcode = dice.one_of(kOpcodes);
  step.list = dice.chance(80) ? 1 : 2 + dice.below(kMostOfAList - 1);
  step.bad = step.list > 1 && dice.chance(25) ? static_cast<int>(dice.below(step.list)) : -1;
  if (step.act != Act::send) step.bad = -1;
  step.pieces = dice.chance(70) ? 1 : dice.below(kMostPieces + 1);
  for (uint32_t& size : step.sizes) size = draw_size(dice);
  step.local = draw_key(dice, kLocalKeys);
  step.remote = dice.chance(10) ? Key::bound : draw_key(dice, kKeys);
  step.writable = dice.chance(60);
  step.offset = dice.below(kWindowBytes / 64) * 8;
  step.inlined = dice.chance(15);
  step.signaled = dice.chance(60);
  step.solicited = dice.chance(10);
  step.careful = dice.chance(70);
  step.state = dice.one_of(kStates);
  step.immediate = static_cast<uint32_t>(dice.word());
  step.seed = dice.word();
  bool atomic =
      step.opcode == IBV_WR_ATOMIC_CMP_AND_SWP || step.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
  if (step.act == Act::send && atomic) {
    step.pieces = 1;
    step.sizes[0] = 8;
  } else if (step.act == Act::receive && dice.chance(70)) {
    // Most receives have room for what may come.
    step.pieces = 1;
    step.sizes[0] = 3 * 100'000;
  }
  if (step.act == Act::send && step.opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
    // With no receive and no access at once, which is found first would be the device's affair.
    step.pieces = std::min(step.pieces, 1u);
    step.remote = Key::good;
  }
  if (rules.frame_bytes != 0 && !dice.chance(5)) {
    // Frame counts must match: mostly they do.
    step.pieces = 1;
    step.sizes[0] = dice.chance(60) ? rules.frame_bytes : dice.below(rules.frame_bytes + 1);
    if (dice.chance(10)) step.sizes[0] = 3 * rules.frame_bytes;
    if (step.act == Act::receive && dice.chance(80)) step.sizes[0] = rules.frame_bytes;
  }
  return step;
}

// Datagrams are sent alone, one packet each, and received behind their header.
void make_datagram(Step& step) {
  step.opcode = step.immediate % 3 == 0 ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND;
  step.bad = -1;
  if (step.act == Act::send) {
    for (uint32_t& size : step.sizes) size %= kMostDatagram / kMostPieces;
  } else {
    // What is too long for its receive is lost or breaks the receiver, as the device likes.
    step.pieces = 1;
    step.sizes[0] = kHeaderBytes + kMostDatagram;
  }
}

// What the other end of XRC has no queue for is not asked of it.
void make_extended(Step& step) {
  if (step.act == Act::send) step.side = 0;
  if (step.act == Act::receive) step.side = 1;
}

const char* text(Act act) {
  static constexpr const char* kTexts[] = {"send",   "receive", "poll",  "query",   "misstep",
                                           "fail",   "reset",   "rereg", "destroy", "reconnect",
                                           "settle", "unplug",  "plug",  "swap"};
  return kTexts[static_cast<int>(act)];
}

const char* text(Key key) {
  static constexpr const char* kTexts[] = {"good",    "read-only", "stale",
                                           "foreign", "outside",   "bound"};
  return kTexts[static_cast<int>(key)];
}

const char* text(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_SEND:
      return "SEND";
    case IBV_WR_SEND_WITH_IMM:
      return "SEND_WITH_IMM";
    case IBV_WR_RDMA_WRITE:
      return "RDMA_WRITE";
    case IBV_WR_RDMA_WRITE_WITH_IMM:
      return "RDMA_WRITE_WITH_IMM";
    case IBV_WR_RDMA_READ:
      return "RDMA_READ";
    case IBV_WR_ATOMIC_CMP_AND_SWP:
      return "COMPARE_AND_SWAP";
    case IBV_WR_ATOMIC_FETCH_AND_ADD:
      return "FETCH_AND_ADD";
    default:
      return "?";
  }
}

const char* text(ibv_qp_state state) {
  static constexpr const char* kTexts[] = {"RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"};
  return kTexts[state];
}

}  // namespace

uint32_t Step::bytes() const {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < pieces; ++i) sum += sizes[i];
  return sum;
}

Step element(const Step& step, uint32_t i) {
  Step out = step;
  out.seed += i * 0x9e3779b97f4a7c15;
  out.immediate += i;
  if (static_cast<int>(i) == step.bad) {
    out.opcode = IBV_WR_RDMA_READ;  // inline, which it cannot be
    out.inlined = true;
  }
  return out;
}

Plan make_plan(uint64_t seed, int steps, const std::string& profile) {
  Rules rules = rules_of(profile);
  Dice dice(seed);
  Plan plan;
  plan.seed = seed;
  plan.profile = profile;
  plan.ranks = 2 + static_cast<int>(dice.below(3));
  for (int left = 0; left < plan.ranks; ++left) {
    for (int right = left + 1; right < plan.ranks; ++right) {
      uint32_t count = 1 + dice.below(3);
      for (uint32_t i = 0; i < count; ++i) {
        bool reliable = rules.reliable_connections && dice.chance(60);
        bool datagrams = rules.datagrams && dice.chance(40);
        bool extended = rules.extended && reliable && dice.chance(30);
        ibv_qp_type unreliable = datagrams ? IBV_QPT_UD : IBV_QPT_UC;
        ConnectionPlan connection{extended   ? IBV_QPT_XRC_SEND
                                  : reliable ? IBV_QPT_RC
                                             : unreliable,
                                  {}};
        connection.ends[0] = draw_end(dice, left, rules);
        connection.ends[1] = draw_end(dice, right, rules);
        for (EndPlan& end : connection.ends)
          end.shared = reliable && rules.shared_receives && dice.chance(25);
        if (extended) {
          connection.ends[0].shared = false;
          connection.ends[1].shared = true;
          connection.ends[1].apart = dice.chance(50);
          connection.ends[1].opened = connection.ends[1].apart && dice.chance(50);
        }
        plan.connections.push_back(connection);
      }
    }
  }
  for (int i = 0; i < steps; ++i) {
    Step step = draw_step(dice, i, static_cast<uint32_t>(plan.connections.size()), rules);
    ibv_qp_type type = plan.connections[static_cast<size_t>(step.connection)].type;
    if (type == IBV_QPT_UD) make_datagram(step);
    if (type == IBV_QPT_XRC_SEND) make_extended(step);
    plan.steps.push_back(step);
  }
  return plan;
}

std::string describe(const ConnectionPlan& connection) {
  std::string out = connection.type == IBV_QPT_RC   ? "RC"
                    : connection.type == IBV_QPT_UD ? "UD"
                    : connection.type == IBV_QPT_UC ? "UC"
                                                    : "XRC";
  for (const EndPlan& end : connection.ends) {
    out += fmt::format(
        " | rank {}: {} sends, {} receives, inline {}, rnr_retry {}{}{}{}{}{}{}", end.rank,
        end.sends, end.receives, end.inline_bytes, end.rnr_retries,
        end.signal_all ? ", all signaled" : "", end.own_queue ? ", a queue of its own" : "",
        end.channel ? " with a channel" : "", end.shared ? ", shared receives" : "",
        end.apart ? " of another process" : "", end.opened ? " that shares the receiver" : "");
  }
  return out;
}

std::string describe(const Step& step, const Plan& plan) {
  const EndPlan& end = plan.connections[static_cast<size_t>(step.connection)].ends[step.side];
  std::string out = fmt::format("{:5} {:<9} rank {} connection {} side {}", step.number,
                                text(step.act), end.rank, step.connection, step.side);
  bool posts = step.act == Act::send || step.act == Act::receive;
  if (posts) {
    out += ":";
    if (step.act == Act::send) out += fmt::format(" {}", text(step.opcode));
    for (uint32_t i = 0; i < step.pieces; ++i)
      out += fmt::format("{}{}", i ? "+" : " ", step.sizes[i]);
    out += " bytes";
    if (step.list > 1) out += fmt::format(", a list of {}", step.list);
    if (step.local != Key::good) out += fmt::format(", local key {}", text(step.local));
  }
  if (step.act == Act::send) {
    if (step.opcode != IBV_WR_SEND && step.opcode != IBV_WR_SEND_WITH_IMM) {
      out += fmt::format(", to window+{} key {}", step.offset, text(step.remote));
    }
    if (plan.connections[static_cast<size_t>(step.connection)].type == IBV_QPT_UD &&
        !opens(step.remote))
      out += ", a wrong queue key";
    if (step.inlined) out += ", inline";
    if (step.bad >= 0) out += fmt::format(", of which {} is wrong", step.bad);
    if (step.signaled) out += ", signaled";
  }
  if (step.act == Act::rereg) out += step.writable ? ": to be written" : ": to be read alone";
  if (step.act == Act::misstep)
    out += fmt::format(": to {} with the state alone", text(step.state));
  bool breaks = step.act == Act::fail || step.act == Act::reset || step.act == Act::destroy;
  if (breaks && step.careful) out += ", after what is on its way";
  return out;
}

}  // namespace railyard::fuzz
