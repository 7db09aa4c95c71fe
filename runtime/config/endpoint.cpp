#include "config/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

#include "railyard/error.h"

namespace railyard::config {

namespace {

bool is_ip(int family, const std::string& text) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(family, text.c_str(), buffer) == 1;
}

}  // namespace

Endpoint parse_endpoint(const std::string& source, const std::string& text) {
  auto fail = [&](const std::string& problem) {
    throw ConfigurationError(
        source, "",
        fmt::format("'{}' {}; write ip:port of rank 0, for instance 192.168.1.1:5000", text,
                    problem));
  };
  size_t colon = text.rfind(':');
  if (colon == std::string::npos) fail("has no port");
  Endpoint endpoint{text.substr(0, colon), 0};
  bool bracketed =
      endpoint.ip.size() > 2 && endpoint.ip.front() == '[' && endpoint.ip.back() == ']';
  if (bracketed) endpoint.ip = endpoint.ip.substr(1, endpoint.ip.size() - 2);
  if (!is_ip(bracketed ? AF_INET6 : AF_INET, endpoint.ip)) fail("has no IP address");

  int port = 0;
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  auto [rest, status] = std::from_chars(begin, end, port);
  if (status != std::errc() || rest != end || port < 1 || port > 65535) {
    fail("has a port that is not a number from 1 to 65535");
  }
  endpoint.port = static_cast<uint16_t>(port);
  return endpoint;
}

}  // namespace railyard::config
