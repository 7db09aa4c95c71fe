// Files held against a JSON Schema.
#pragma once

#include <string>

namespace railyard::harness {

struct Schema {
  const char* text;  // lives as long as the program
  const char* name;  // of the schema's own file, for messages
};

// Throws InputError naming the place.
void check_against_schema(const Schema& schema, const std::string& file, const std::string& text);

}  // namespace railyard::harness
