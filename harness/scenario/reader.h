// Reading JSON so that every error names the file, the place and the mend.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "railyard/input_error.h"

namespace railyard::harness {

using Json = nlohmann::ordered_json;  // cables and ranks keep the order of the file

std::string read_file(const std::string& file);

// Parses; an error names line and column, a key given twice its place.
Json parse_json(const std::string& file, const std::string& text);

// A value of a file and where it stands ("faults/0/when").
class Reader {
 public:
  Reader(const std::string& file, std::string place, const Json& value)
      : file_(&file), place_(std::move(place)), value_(&value) {}

  const std::string& place() const { return place_; }
  const std::string& file() const { return *file_; }
  const Json& json() const { return *value_; }

  [[noreturn]] void fail(const std::string& what) const;

  // Refuses keys that are not in `keys`, naming the nearest.
  const Reader& object(const std::vector<std::string>& keys) const;

  bool has(const std::string& key) const { return value_->is_object() && value_->contains(key); }
  Reader at(const std::string& key) const;                      // fails when absent
  std::vector<Reader> elements() const;                         // of an array; fails otherwise
  std::vector<std::pair<std::string, Reader>> members() const;  // of an object; fails otherwise

  bool is_text() const { return value_->is_string(); }
  bool is_number() const { return value_->is_number(); }
  bool is_array() const { return value_->is_array(); }
  bool is_object() const { return value_->is_object(); }
  bool is_null() const { return value_->is_null(); }

  std::string text() const;
  bool flag() const;
  std::string one_of(const std::vector<std::string>& choices) const;
  uint64_t whole(uint64_t least, uint64_t most) const;
  std::chrono::nanoseconds duration() const;
  std::vector<std::string> texts() const;

 private:
  [[noreturn]] void fail_type(const char* wanted) const;

  const std::string* file_;
  std::string place_;
  const Json* value_;
};

}  // namespace railyard::harness
