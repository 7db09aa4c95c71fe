#include "hardware/mac_ports.h"

#include <nlohmann/json.hpp>
#include <sstream>

namespace railyard::harness {

namespace {

using nlohmann::json;

// The rest of a line that begins with this, after blanks; false: it does not.
bool after(const std::string& line, const std::string& start, std::string& rest) {
  size_t first = line.find_first_not_of(" \t");
  if (first == std::string::npos || line.compare(first, start.size(), start) != 0) return false;
  rest = line.substr(first + start.size());
  while (!rest.empty() && (rest.back() == '\r' || rest.back() == ' ')) rest.pop_back();
  return true;
}

std::string text_at(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

ThunderboltPort read_port(const json& bus, const std::map<std::string, std::string>& ports) {
  ThunderboltPort port;
  port.domain = text_at(bus, "domain_uuid_key");
  auto tag = bus.find("receptacle_1_tag");
  if (tag != bus.end() && tag->is_object()) {
    port.receptacle = text_at(*tag, "receptacle_id_key");
    port.speed = text_at(*tag, "current_speed_key");
  }
  auto found = ports.find("Thunderbolt " + port.receptacle);
  if (found != ports.end()) port.interface = found->second;
  auto items = bus.find("_items");
  if (items == bus.end() || !items->is_array()) return port;
  for (const json& item : *items) {
    // Displays and disks have no domain.
    if (!item.is_object() || text_at(item, "domain_uuid_key").empty()) continue;
    port.peer_domain = text_at(item, "domain_uuid_key");
    port.peer_name = text_at(item, "device_name_key");
    if (port.peer_name.empty()) port.peer_name = text_at(item, "_name");
    break;
  }
  return port;
}

}  // namespace

std::map<std::string, std::string> hardware_ports(const std::string& text) {
  std::map<std::string, std::string> ports;
  std::istringstream lines(text);
  std::string name, value;
  for (std::string line; std::getline(lines, line);) {
    if (after(line, "Hardware Port: ", value)) name = value;
    if (after(line, "Device: ", value) && !name.empty()) ports[name] = value;
  }
  return ports;
}

std::vector<ThunderboltPort> thunderbolt_ports(const std::string& text,
                                               const std::map<std::string, std::string>& ports) {
  std::vector<ThunderboltPort> found;
  json whole = json::parse(text, nullptr, false);
  if (!whole.is_object() || !whole["SPThunderboltDataType"].is_array()) return found;
  for (const json& bus : whole["SPThunderboltDataType"]) {
    if (!bus.is_object()) continue;
    ThunderboltPort port = read_port(bus, ports);
    if (!port.interface.empty()) found.push_back(std::move(port));
  }
  return found;
}

std::vector<std::string> bridge_members(const std::string& text) {
  std::vector<std::string> members;
  std::istringstream lines(text);
  std::string value;
  for (std::string line; std::getline(lines, line);) {
    if (after(line, "member: ", value)) members.push_back(value.substr(0, value.find(' ')));
  }
  return members;
}

}  // namespace railyard::harness
