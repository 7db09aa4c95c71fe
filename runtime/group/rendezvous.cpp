#include "group/rendezvous.h"

#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "group/connected_group.h"
#include "group/local_group.h"
#include "net/socket.h"

namespace railyard {

namespace {

constexpr char kLoopback[] = "127.0.0.1";
// Only its route is looked up: the interface that leads out of the local network.
constexpr char kElsewhere[] = "192.0.2.1:9";

using Text = std::array<char, 256>;

Text text_of(const std::string& from) {
  Text text{};
  std::strncpy(text.data(), from.c_str(), text.size() - 1);
  return text;
}

std::vector<Text> gather(const AllGather& all_gather, const std::string& mine, int size) {
  Text input = text_of(mine);
  std::vector<Text> all(static_cast<size_t>(size));
  all_gather(input.data(), all.data(), sizeof(Text));
  return all;
}

std::string host_name() {
  Text name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

// Where rank 0 listens.
std::string address_of(const Config& config, const std::vector<Text>& hosts) {
  if (!config.coordinator.empty()) return address_towards(config.coordinator);
  for (const Text& host : hosts) {
    if (host != hosts.front()) return address_towards(kElsewhere);
  }
  return kLoopback;
}

}  // namespace

std::unique_ptr<Group> create_by(const Config& given, const AllGather& all_gather) {
  Config config = given;
  auto hosts = gather(all_gather, host_name(), config.size());
  Listener listener;
  if (config.rank == 0) listener = Listener::open(address_of(config, hosts));
  config.coordinator = gather(all_gather, listener.endpoint, config.size()).front().data();
  config.check();
  if (config.size() == 1) return std::make_unique<LocalGroup>("there is one rank");
  std::string reason;
  Backend backend = config.choose_backend(&reason);
  return std::make_unique<ConnectedGroup>(config, backend, std::move(reason),
                                          ConnectedGroup::Origin{listener.socket.release(), false});
}

}  // namespace railyard
