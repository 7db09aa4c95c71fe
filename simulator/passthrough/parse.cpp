// The rules' language; README.md describes it.
#include <arpa/inet.h>
#include <infiniband/verbs.h>
#include <signal.h>

#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>

#include "passthrough/rules.h"
#include "railyard/errno_names.h"

namespace railyard::passthrough {

namespace {

static_assert(std::size(kPlaces) == static_cast<size_t>(Point::count));

constexpr const char* kResources[] = {"contexts",        "protection-domains", "completion-queues",
                                      "queue-pairs",     "memory-regions",     "send-requests",
                                      "receive-requests"};
static_assert(std::size(kResources) == static_cast<size_t>(Resource::count));

const std::map<std::string, int> kSignals = {
    {"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};

// The words of a line, taken one after another.
class Words {
 public:
  explicit Words(const std::string& line) : stream_(line) {}

  bool next(std::string& word) { return static_cast<bool>(stream_ >> word); }
  std::string value(const std::string& of) {
    std::string word;
    if (!next(word)) throw std::runtime_error("'" + of + "' wants a value after it");
    return word;
  }
  uint64_t whole(const std::string& of) {
    std::string word = value(of);
    size_t read = 0;
    uint64_t number = 0;
    if (word.find_first_not_of("0123456789") == std::string::npos && word.size() < 19) {
      number = std::stoull(word, &read);
    }
    if (read == 0) throw std::runtime_error("'" + of + "' wants a whole number, not " + word);
    return number;
  }

 private:
  std::istringstream stream_;
};

int errno_named(const std::string& name) {
  for (const ErrnoName& entry : kErrnoNames) {
    if (name == entry.name) return entry.number;
  }
  if (name.find_first_not_of("0123456789") == std::string::npos && name.size() < 5) {
    return std::stoi(name);
  }
  throw std::runtime_error("'" + name + "' is no errno known here; write its number");
}

int64_t duration_ns(const std::string& text) {
  size_t digits = text.find_first_not_of("0123456789");
  std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  int64_t scale = unit == "ns"   ? 1
                  : unit == "us" ? 1'000
                  : unit == "ms" ? 1'000'000
                  : unit == "s"  ? 1'000'000'000
                                 : 0;
  if (scale == 0 || digits == 0 || digits > 9) {
    throw std::runtime_error("'" + text + "' is no time; write one with its unit, as in 5ms");
  }
  return std::stoll(text.substr(0, digits)) * scale;
}

template <typename Kind, size_t N>
Kind one_of(const char* const (&names)[N], const std::string& name, const char* what) {
  std::string all;
  for (size_t i = 0; i < N; ++i) {
    if (!*names[i]) continue;
    if (name == names[i]) return static_cast<Kind>(i);
    all += (all.empty() ? "" : ", ") + std::string(names[i]);
  }
  throw std::runtime_error("'" + name + "' is no " + what + "; write one of " + all);
}

std::array<uint8_t, 16> gid_of(const std::string& address) {
  std::array<uint8_t, 16> gid{};
  if (inet_pton(AF_INET6, address.c_str(), gid.data()) != 1) {
    throw std::runtime_error("'" + address + "' is no GID; write an IPv6 address, or empty");
  }
  return gid;
}

void read_gid(Rule& rule, Words& words) {
  std::string row = words.value("gid");
  rule.row = row == "all" ? -1 : std::stoi(row.substr(0, 4));
  std::string address = words.value(row);
  if (address != "empty") rule.gid = gid_of(address);
}

// A word that both kinds of rule know; false: neither does.
bool read_condition(Rule& rule, Words& words, const std::string& word) {
  if (word == "device") {
    rule.device = words.value(word);
  } else if (word == "messages") {
    rule.after_messages = words.whole(word);
  } else if (word == "later") {
    rule.later = true;
  } else if (word == "signal") {
    std::string name = words.value(word);
    auto found = kSignals.find(name);
    if (found == kSignals.end()) {
      throw std::runtime_error("'" + name + "' is no signal for this; write HUP, USR1 or USR2");
    }
    rule.signal = found->second;
  } else {
    return false;
  }
  return true;
}

void read_deed(Rule& rule, Words& words, const std::string& word) {
  if (word == "fail") {
    rule.deed = Deed::fail;
    rule.number = errno_named(words.value(word));
  } else if (word == "delay") {
    rule.deed = Deed::delay;
    rule.delay_ns = duration_ns(words.value(word));
  } else if (word == "block") {
    rule.deed = Deed::block;
  } else if (word == "drop") {
    rule.deed = Deed::drop;
    if (rule.point != Point::post_send) throw std::runtime_error("only ibv_post_send can drop");
  } else if (word == "status") {
    rule.deed = Deed::status;
    rule.number = static_cast<int>(words.whole(word));
    if (rule.point != Point::completion) {
      throw std::runtime_error("only a completion has a status; write 'at completion'");
    }
  } else if (word == "gid") {
    rule.deed = Deed::gid;
    if (rule.point != Point::query_gid) throw std::runtime_error("only ibv_query_gid tells GIDs");
    read_gid(rule, words);
  } else if (word == "real" && rule.deed == Deed::gid) {
    rule.real_row = static_cast<int>(words.whole(word));
  } else {
    throw std::runtime_error("'" + word + "' is unknown; see the rules' language");
  }
}

void read_at(Rule& rule, Words& words) {
  rule.point = one_of<Point>(kPlaces, words.value("at"), "place for a rule");
  bool has_deed = false;
  for (std::string word; words.next(word);) {
    if (word == "nth") {
      rule.nth = words.whole(word);
      if (rule.nth == 0) throw std::runtime_error("calls count from 1; write nth 1");
    } else if (word == "times") {
      rule.times = words.whole(word);
    } else if (!read_condition(rule, words, word)) {
      read_deed(rule, words, word);
      has_deed = true;
    }
  }
  if (!has_deed) throw std::runtime_error("says not what to do; end it with fail, delay, ...");
}

void read_limit(Rule& rule, Words& words) {
  rule.deed = Deed::limit;
  rule.number = ENOMEM;
  rule.resource = one_of<Resource>(kResources, words.value("limit"), "resource");
  std::string most = words.value("the resource");
  rule.used_up = most == "used-up";
  if (!rule.used_up) {
    Words number(most);
    rule.most = static_cast<int64_t>(number.whole("limit"));
  }
  for (std::string word; words.next(word);) {
    if (word == "errno") {
      rule.number = errno_named(words.value(word));
    } else if (!read_condition(rule, words, word)) {
      throw std::runtime_error("'" + word + "' is unknown; a limit takes device, errno, later");
    }
  }
}

}  // namespace

const char* name_of(Point point) { return kPlaces[static_cast<size_t>(point)]; }
const char* name_of(Resource resource) { return kResources[static_cast<size_t>(resource)]; }

Rule parse_rule(const std::string& line) {
  Rule rule;
  rule.text = line;
  Words words(line);
  std::string kind;
  words.next(kind);
  if (kind == "at") {
    read_at(rule, words);
  } else if (kind == "limit") {
    read_limit(rule, words);
  } else if (kind == "address") {
    rule.deed = Deed::address;
    rule.gid = gid_of(words.value(kind));
    if (words.value("the address") != "real") {
      throw std::runtime_error("an address wants what it is; write 'address fe80::1 real fe80::2'");
    }
    rule.real_gid = gid_of(words.value("real"));
  } else {
    throw std::runtime_error("'" + kind + "' begins no rule; write 'at', 'limit' or 'address'");
  }
  return rule;
}

}  // namespace railyard::passthrough
