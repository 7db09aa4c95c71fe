// What every variant has at hand: its rank, its work, the devices that lead to its peers, the side
// channel, and the record of what it did.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "railyard-faulty/endpoint.h"
#include "railyard-faulty/side_channel.h"
#include "railyard-rank/inputs.h"
#include "worker/progress.h"
#include "worker/result.h"
#include "worker/work.h"

namespace railyard::faulty {

// What the environment of a JACCL program says.
struct Place {
  int rank = -1;
  int ranks = 0;
  std::string coordinator;
  std::vector<std::vector<std::string>> devices;  // this rank's, per peer: one for each rail
};

// Reads JACCL_RANK, JACCL_COORDINATOR and the file JACCL_IBV_DEVICES (or their MLX names). Throws
// worker::BadInput.
Place place_from_environment();

struct Options {
  Transport transport = Transport::uc;
  bool transport_given = false;  // else: what the device has
  uint8_t rnr_retry = 0;
};

struct Session {
  Place place;
  worker::Work work;
  Options options;
  worker::Progress progress;
  worker::Result result;

  // The transport for a device: Thunderbolt has UC alone.
  Transport transport(ibv_context* context) const;

  // The devices that lead to a peer. Throws worker::BadInput when there are none.
  const std::vector<std::string>& rails_to(int peer) const;

  // Throws worker::BadInput unless there are two ranks and every operation is a send_recv.
  // Without a workload there is one of four messages.
  void expect_messages_of_two();

  // How a message's bytes are drawn.
  rank::Draw draw(uint32_t operation, uint32_t iteration) const;
};

// Queue pairs to one peer, one for each rail, connected over the side channel. Rail k of either
// side is meant to be the same cable.
class Link {
 public:
  Link(Session& session, SideChannel& channel, int peer, Endpoint::Options options);

  // For a rank that is neither end of a link: takes part in the exchange of the others' addresses.
  static void pass_by(Session& session, SideChannel& channel);

  size_t rails() const { return endpoints_.size(); }
  Endpoint& rail(size_t k) { return endpoints_[k]; }

 private:
  std::map<std::string, ContextPointer> contexts_;  // one for each device, as some allow no more
  std::vector<Endpoint> endpoints_;
};

}  // namespace railyard::faulty
