// The coordinator's address.
#pragma once

#include <cstdint>
#include <string>

namespace railyard::config {

struct Endpoint {
  std::string ip;
  uint16_t port = 0;
};

// Takes "127.0.0.1:5000" or "[::1]:5000". `source` names where the text comes from. Throws
// ConfigurationError.
Endpoint parse_endpoint(const std::string& source, const std::string& text);

}  // namespace railyard::config
