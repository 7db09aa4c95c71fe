// Static rates: enum ibv_rate beside its multiple of 2.5 Gb/s and its speed in Mb/s.
#include <infiniband/verbs.h>

#include "verbs/export.h"

namespace {

struct Rate {
  ibv_rate rate;
  int multiple;  // of 2.5 Gb/s; -1 where a rate has none
  int mbps;
};

// Rates that some headers do not name yet.
constexpr auto k28Gbps = static_cast<ibv_rate>(19), k50Gbps = static_cast<ibv_rate>(20),
               k400Gbps = static_cast<ibv_rate>(21), k600Gbps = static_cast<ibv_rate>(22),
               k800Gbps = static_cast<ibv_rate>(23), k1200Gbps = static_cast<ibv_rate>(24);

// Lane rates are rounded down, encoding overhead included (IBTA volume 1, PortInfo and PathRecord).
constexpr Rate kRates[] = {
    {IBV_RATE_2_5_GBPS, 1, 2500},
    {IBV_RATE_5_GBPS, 2, 5000},
    {IBV_RATE_10_GBPS, 4, 10000},
    {IBV_RATE_20_GBPS, 8, 20000},
    {IBV_RATE_30_GBPS, 12, 30000},
    {IBV_RATE_40_GBPS, 16, 40000},
    {IBV_RATE_60_GBPS, 24, 60000},
    {IBV_RATE_80_GBPS, 32, 80000},
    {IBV_RATE_120_GBPS, 48, 120000},
    {IBV_RATE_14_GBPS, -1, 14062},
    {IBV_RATE_56_GBPS, -1, 56250},
    {IBV_RATE_112_GBPS, -1, 112500},
    {IBV_RATE_168_GBPS, -1, 168750},
    {IBV_RATE_25_GBPS, -1, 25781},
    {IBV_RATE_100_GBPS, -1, 103125},
    {IBV_RATE_200_GBPS, -1, 206250},
    {IBV_RATE_300_GBPS, -1, 309375},
    {k28Gbps, 11, 28125},
    {k50Gbps, 20, 53125},
    {k400Gbps, 160, 425000},
    {k600Gbps, 240, 637500},
    {k800Gbps, 320, 850000},
    {k1200Gbps, 480, 1275000},
};

const Rate* find(ibv_rate rate) {
  for (const Rate& row : kRates) {
    if (row.rate == rate) return &row;
  }
  return nullptr;
}

}  // namespace

RAILYARD_VERB int ibv_rate_to_mult(enum ibv_rate rate) {
  const Rate* row = find(rate);
  return row ? row->multiple : -1;
}

RAILYARD_VERB enum ibv_rate mult_to_ibv_rate(int mult) {
  for (const Rate& row : kRates) {
    if (mult > 0 && row.multiple == mult) return row.rate;
  }
  return IBV_RATE_MAX;
}

RAILYARD_VERB int ibv_rate_to_mbps(enum ibv_rate rate) {
  const Rate* row = find(rate);
  return row ? row->mbps : -1;
}

RAILYARD_VERB enum ibv_rate mbps_to_ibv_rate(int mbps) {
  for (const Rate& row : kRates) {
    if (row.mbps == mbps) return row.rate;
  }
  return IBV_RATE_MAX;
}
