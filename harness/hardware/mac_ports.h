// What a Mac says of its Thunderbolt ports: parsers of its own commands' output.
//
// The forms are those that Apple's commands are publicly known to print, as exo's reader of them
// (exo-explore/exo, shared/types/thunderbolt.py) and Apple's manual pages have them; no Mac stands
// behind the tests. What is not there, or is written otherwise, is left out, and nothing fails.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace railyard::harness {

struct ThunderboltPort {
  std::string interface;    // "en2"; its RDMA device is "rdma_en2"
  std::string receptacle;   // as it is numbered on the case: "1"
  std::string speed;        // "Up to 80 Gb/s"
  std::string domain;       // of this end, unlike any other port's
  std::string peer_domain;  // of the end at the other side of the cable; empty: nothing is there
  std::string peer_name;    // what is there: "Mac Studio"
};

// `networksetup -listallhardwareports`: "Thunderbolt 1" -> "en2".
std::map<std::string, std::string> hardware_ports(const std::string& text);

// `system_profiler SPThunderboltDataType -json`, with the interfaces that carry its receptacles.
std::vector<ThunderboltPort> thunderbolt_ports(const std::string& json,
                                               const std::map<std::string, std::string>& ports);

// `ifconfig bridge0`: the interfaces that the Thunderbolt Bridge owns.
std::vector<std::string> bridge_members(const std::string& text);

}  // namespace railyard::harness
