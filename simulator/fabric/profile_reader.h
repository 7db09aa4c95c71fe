// Reads the members of one object of a profile, by name, and complains of those it was not asked
// for.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "fabric/profile.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

// Every complaint is an Error that names the field and the mend.
class Reader {
 public:
  Reader(const nlohmann::json& object, std::string place);

  [[noreturn]] void fail(const std::string& key, const std::string& why) const;

  // A rule is its value, or an object with the value under "is".
  const nlohmann::json& value(const std::string& key);

  template <typename T>
  T get(const std::string& key) {
    const nlohmann::json& found = value(key);
    try {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        if (!found.is_number_integer() || found < 0) fail(key, "a whole number is needed here");
        if (found > std::numeric_limits<T>::max()) {
          fail(key, fmt::format("{} is more than {}", found.dump(), std::numeric_limits<T>::max()));
        }
      }
      if constexpr (std::is_floating_point_v<T>) {
        if (!found.is_number() || found < 0)
          fail(key, "a number that is not negative is needed here");
      }
      return found.get<T>();
    } catch (const nlohmann::json::exception&) {
      fail(key, fmt::format("{} has the wrong type", found.dump()));
    }
  }

  void text(const std::string& key, char* out, size_t bytes);

  template <typename T>
  T choice(const std::string& key, const std::map<std::string, T>& choices) {
    return pick(key, get<std::string>(key), choices);
  }

  template <typename T>
  T set(const std::string& key, const std::map<std::string, T>& choices) {
    T mask{};
    for (const auto& name : get<std::vector<std::string>>(key)) mask |= pick(key, name, choices);
    return mask;
  }

  // A member of a rule beside its value ("errno"), `otherwise` where the rule is only a value.
  std::string detail(const std::string& key, const char* member,
                     const std::string& otherwise) const;

  int error(const std::string& key, const std::string& otherwise = "EINVAL") const;

  // What happens at a limit: beside the limit itself.
  AtLimit at_limit(const std::string& key, const std::map<std::string, AtLimit>& choices) const {
    return pick(key + "/at_limit", detail(key, "at_limit", "refuse"), choices);
  }

  Limit limit(const std::string& key) { return {get<int32_t>(key), error(key, "ENOMEM")}; }

  // Complains of members that nothing has asked for.
  void finish() const;

 private:
  template <typename T>
  T pick(const std::string& key, const std::string& name,
         const std::map<std::string, T>& choices) const {
    auto found = choices.find(name);
    if (found != choices.end()) return found->second;
    std::string names;
    for (const auto& [choice, unused] : choices) names += (names.empty() ? "" : ", ") + choice;
    fail(key, fmt::format("'{}' is none of {}", name, names));
  }

  const nlohmann::json& object_;
  std::string place_;
  std::set<std::string> seen_;
};

}  // namespace railyard::fabric
