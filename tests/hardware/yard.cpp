// The devices of the tests' hosts: one simulated cluster, as a scenario's file describes it, that
// lives while standard input is open.
//
//   railyard-test-yard SCENARIO SOCKET       prints "<rank> NAME=value" lines of what programs need
//                                            to be on a node, then "ready"
//   railyard-test-yard --tell SOCKET cable.unplug c1    the hand of the tests: moves a plug
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/scenario.h"

using namespace railyard;

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

int port_named(const fabric::Fabric& fabric, const std::string& name) {
  fabric::Snapshot now = fabric.snapshot();
  for (size_t port = 0; port < now.ports.size(); ++port) {
    if (fabric.port_name(static_cast<int>(port)) == name) return static_cast<int>(port);
  }
  return -1;
}

std::string move(fabric::Fabric& fabric, const std::string& line) {
  std::istringstream words(line);
  std::string what, end, to;
  std::vector<int> cables;
  words >> what;
  for (std::string word; words >> word;) {
    if (word.rfind("end=", 0) == 0) {
      end = word.substr(4);
    } else if (word.rfind("to=", 0) == 0) {
      to = word.substr(3);
    } else {
      cables.push_back(fabric.cable(word));
    }
  }
  fabric::CableChange change;
  if (what == "cable.swap") {
    change = fabric.swap(cables.at(0), cables.at(1), fabric.node(end));
  } else if (what == "cable.miswire") {
    fabric::Snapshot now = fabric.snapshot();
    const fabric::CableView& cable = now.cables.at(static_cast<size_t>(cables.at(0)));
    int which = fabric.port_name(cable.ports[0]).rfind(end + "/", 0) == 0 ? 0 : 1;
    change = fabric.replug(cables.at(0), which, port_named(fabric, to));
  } else if (what == "cable.unplug" || what == "cable.plug") {
    for (int cable : cables)
      change = what == "cable.plug" ? fabric.plug(cable) : fabric.unplug(cable);
  } else if (what == "cable.flap") {
    for (int cable : cables) {
      fabric.unplug(cable);
      usleep(20'000);
      change = fabric.plug(cable);
      change.changed = true;
    }
  } else {
    return "no: there is no hand for " + what;
  }
  return (change.changed ? "ok: " : "no: ") + change.evidence;
}

int tell(int argc, char** argv) {
  int line = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = address_of(argv[2]);
  if (connect(line, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 3;
  std::string words;
  for (int i = 3; i < argc; ++i) words += std::string(argv[i]) + " ";
  char answer[512] = {};
  if (write(line, words.data(), words.size()) < 0 || read(line, answer, sizeof answer - 1) < 0)
    return 3;
  std::printf("%s\n", answer);
  return std::strncmp(answer, "ok", 2) == 0 ? 0 : 1;
}

int hold(const std::string& file, const std::string& path) {
  harness::Scenario scenario = harness::load_scenario(file);
  fabric::Fabric fabric = fabric::Fabric::create(scenario.cluster.spec);
  harness::shape_links(fabric, scenario.cluster);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = address_of(path);
  unlink(path.c_str());
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 3;
  listen(listener, 4);
  for (int rank = 0; rank < scenario.cluster.ranks; ++rank) {
    for (const auto& [name, value] : fabric.environment(rank)) {
      std::printf("%d %s=%s\n", rank, name.c_str(), value.c_str());
    }
  }
  std::printf("matrix %s\nready\n",
              harness::matrix_text(harness::matrix_of(scenario.cluster.spec, 0)).c_str());
  std::fflush(stdout);
  for (;;) {
    pollfd watched[2] = {{STDIN_FILENO, POLLIN, 0}, {listener, POLLIN, 0}};
    if (poll(watched, 2, -1) < 0) break;
    char words[512] = {};
    if (watched[0].revents && read(STDIN_FILENO, words, sizeof words) <= 0) break;
    if (!(watched[1].revents & POLLIN)) continue;
    int line = accept(listener, nullptr, nullptr);
    if (read(line, words, sizeof words - 1) > 0) {
      std::string answer;
      try {
        answer = move(fabric, words);
      } catch (const std::exception& error) {
        answer = std::string("no: ") + error.what();
      }
      if (write(line, answer.data(), answer.size()) < 0) std::perror("yard");
    }
    close(line);
  }
  unlink(path.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 4 && std::strcmp(argv[1], "--tell") == 0) return tell(argc, argv);
  if (argc != 3) return 2;
  try {
    return hold(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
