// A JSON document together with the name that errors give it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace railyard::config {

struct JsonSource {
  std::string file;  // "devices.json", or "device matrix" for text that came without a file
  nlohmann::json document;

  // Throws ConfigurationError for this document.
  [[noreturn]] void fail(const std::string& place, const std::string& problem) const;
};

// Reads a file, or takes `path_or_text` as the JSON itself when it begins like JSON. `kind` names
// such a text in errors. Throws ConfigurationError when the file is not there or is not JSON.
JsonSource read_json(const std::string& path_or_text, const std::string& kind);

// "a string", "null", "an object", ...
std::string type_with_article(const nlohmann::json& value);

}  // namespace railyard::config
