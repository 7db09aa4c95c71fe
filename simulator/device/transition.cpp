#include "device/transition.h"

#include <cerrno>

namespace railyard::sim {

namespace {

constexpr int kState = IBV_QP_STATE, kCurrent = IBV_QP_CUR_STATE, kKey = IBV_QP_PKEY_INDEX,
              kPort = IBV_QP_PORT, kQkey = IBV_QP_QKEY, kAccess = IBV_QP_ACCESS_FLAGS,
              kAddress = IBV_QP_AV, kMtu = IBV_QP_PATH_MTU, kPeer = IBV_QP_DEST_QPN,
              kReceivePsn = IBV_QP_RQ_PSN, kSendPsn = IBV_QP_SQ_PSN,
              kReadsIn = IBV_QP_MAX_DEST_RD_ATOMIC, kReadsOut = IBV_QP_MAX_QP_RD_ATOMIC,
              kRnrTimer = IBV_QP_MIN_RNR_TIMER, kTimeout = IBV_QP_TIMEOUT,
              kRetries = IBV_QP_RETRY_CNT, kRnrRetries = IBV_QP_RNR_RETRY,
              kAlternate = IBV_QP_ALT_PATH, kMigration = IBV_QP_PATH_MIG_STATE,
              kNotify = IBV_QP_EN_SQD_ASYNC_NOTIFY;

enum : unsigned {
  kRc = 1, kUc = 2, kUd = 4, kXrcSend = 8, kXrcReceive = 16,
  kXrc = kXrcSend | kXrcReceive, kConnected = kRc | kUc | kXrc, kAll = kConnected | kUd,
};

struct Move {
  unsigned types;
  ibv_qp_state from, to;
  int required, optional;
};

// clang-format off
constexpr Move kMoves[] = {
    {kConnected, IBV_QPS_RESET, IBV_QPS_INIT, kKey | kPort | kAccess, 0},
    {kUd,        IBV_QPS_RESET, IBV_QPS_INIT, kKey | kPort | kQkey, 0},
    {kConnected, IBV_QPS_INIT,  IBV_QPS_INIT, 0, kKey | kPort | kAccess},
    {kUd,        IBV_QPS_INIT,  IBV_QPS_INIT, 0, kKey | kPort | kQkey},
    {kRc | kXrcReceive, IBV_QPS_INIT, IBV_QPS_RTR, kAddress | kMtu | kPeer | kReceivePsn | kReadsIn | kRnrTimer,
                                              kAlternate | kAccess | kKey},
    {kUc | kXrcSend,        IBV_QPS_INIT,  IBV_QPS_RTR,  kAddress | kMtu | kPeer | kReceivePsn, kAlternate | kAccess | kKey},
    {kUd,        IBV_QPS_INIT,  IBV_QPS_RTR,  0, kKey | kQkey},
    {kXrcReceive, IBV_QPS_RTR,  IBV_QPS_RTS,  kSendPsn | kTimeout,
                                              kCurrent | kAlternate | kAccess | kRnrTimer | kMigration},
    {kRc | kXrcSend, IBV_QPS_RTR, IBV_QPS_RTS, kSendPsn | kTimeout | kRetries | kRnrRetries | kReadsOut,
                                              kCurrent | kAlternate | kAccess | kRnrTimer | kMigration},
    {kUc,        IBV_QPS_RTR,   IBV_QPS_RTS,  kSendPsn, kCurrent | kAlternate | kAccess | kMigration},
    {kUd,        IBV_QPS_RTR,   IBV_QPS_RTS,  kSendPsn, kCurrent | kQkey},
    {kRc | kXrc, IBV_QPS_RTS,   IBV_QPS_RTS,  0, kCurrent | kAccess | kAlternate | kMigration | kRnrTimer},
    {kUc,        IBV_QPS_RTS,   IBV_QPS_RTS,  0, kCurrent | kAccess | kAlternate | kMigration},
    {kUd,        IBV_QPS_RTS,   IBV_QPS_RTS,  0, kCurrent | kQkey},
    {kAll,       IBV_QPS_RTS,   IBV_QPS_SQD,  0, kNotify},
    {kRc | kXrc, IBV_QPS_SQD,   IBV_QPS_RTS,  0, kCurrent | kAccess | kAlternate | kMigration | kRnrTimer},
    {kUc,        IBV_QPS_SQD,   IBV_QPS_RTS,  0, kCurrent | kAccess | kAlternate | kMigration},
    {kUd,        IBV_QPS_SQD,   IBV_QPS_RTS,  0, kCurrent | kQkey},
    {kRc | kXrc, IBV_QPS_SQD,   IBV_QPS_SQD,  0, kAddress | kTimeout | kRetries | kRnrRetries | kReadsOut | kReadsIn |
                                              kAlternate | kAccess | kKey | kRnrTimer | kMigration},
    {kUc,        IBV_QPS_SQD,   IBV_QPS_SQD,  0, kAddress | kAlternate | kAccess | kKey | kMigration},
    {kUd,        IBV_QPS_SQD,   IBV_QPS_SQD,  0, kKey | kQkey},
    {kUc | kUd,  IBV_QPS_SQE,   IBV_QPS_RTS,  0, kCurrent | kAccess | kQkey},
};
// clang-format on

unsigned type_bit(ibv_qp_type type) {
  switch (type) {
    case IBV_QPT_RC: return kRc;
    case IBV_QPT_XRC_SEND: return kXrcSend;
    case IBV_QPT_XRC_RECV: return kXrcReceive;
    case IBV_QPT_UC: return kUc;
    default: return kUd;
  }
}

// What programs may give that half an XRC connection has no use for: the kernel's verbs interface passes
// over it (modify_qp_mask in uverbs_cmd.c), and perftest relies on that.
int overlooked(ibv_qp_type type) {
  if (type == IBV_QPT_XRC_SEND) return kReadsIn | kRnrTimer;
  if (type == IBV_QPT_XRC_RECV) return kReadsOut | kRetries | kRnrRetries;
  return 0;
}

}  // namespace

int check_transition(ibv_qp_type type, ibv_qp_state from, ibv_qp_state to, int mask) {
  mask &= ~(kState | IBV_QP_CAP | IBV_QP_RATE_LIMIT | overlooked(type));
  if (to == IBV_QPS_RESET || to == IBV_QPS_ERR) return (mask & ~kCurrent) == 0 ? 0 : EINVAL;
  for (const Move& move : kMoves) {
    if (!(move.types & type_bit(type)) || move.from != from || move.to != to) continue;
    if ((mask & move.required) != move.required) return EINVAL;
    return (mask & ~(move.required | move.optional)) == 0 ? 0 : EINVAL;
  }
  return EINVAL;
}

}  // namespace railyard::sim
