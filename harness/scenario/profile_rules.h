// What a profile says of its devices, rule by rule.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace railyard::harness {

struct ProfileRule {
  int64_t number = 0;              // of a rule that counts; of a limit, 0 says that there is none
  std::vector<std::string> words;  // of a rule that names something, or several things
  std::string says;                // as it is written, with its errno: "128, errno ENOMEM"
  std::string source;

  bool names(const std::string& word) const;
};

class ProfileRules {
 public:
  // Takes a shipped profile's name or the path of a profile's file. Throws fabric::Error.
  explicit ProfileRules(const std::string& profile);

  // What the names of its devices begin with.
  const std::string& device_prefix() const { return device_prefix_; }
  // nullptr: it says nothing of that.
  const ProfileRule* find(const std::string& rule) const;
  bool names(const std::string& rule, const std::string& word) const;
  // 0: there is none.
  size_t limit(const std::string& rule) const;

 private:
  std::string device_prefix_;
  std::map<std::string, ProfileRule> rules_;
};

}  // namespace railyard::harness
