#include "passthrough/rules.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <new>
#include <stdexcept>

#include "passthrough/record.h"

namespace railyard::passthrough {

namespace {

std::atomic<uint64_t> signals_seen{0};  // bit k: signal k has come

void on_signal(int number) { signals_seen.fetch_or(uint64_t{1} << number); }

[[noreturn]] void give_up(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
  std::exit(2);
}

}  // namespace

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Rules& Rules::instance() {
  static Rules& rules = *new Rules;  // never destroyed: devices have threads
  return rules;
}

Rules::Rules() {
  if (const char* file = std::getenv(kRulesVariable); file && *file) read(file);
  for (const Rule& rule : rules_) {
    if (rule.deed == Deed::limit) {
      limits_.push_back(&rule);
    } else if (rule.deed == Deed::address) {
      addresses_.push_back(&rule);
    } else {
      points_[static_cast<size_t>(rule.point)].push_back(&rule);
    }
  }
  map_page();
  for (const Rule& rule : rules_) {
    if (rule.later && !std::getenv(kPageVariable)) page_->rules[rule.index].armed.store(0);
  }
  listen_to_signals();
  page_->loaded.store(static_cast<uint32_t>(rules_.size()) + 1, std::memory_order_release);
}

void Rules::read(const std::string& file) {
  std::ifstream lines(file);
  if (!lines) give_up(file + ": cannot be read; check the path in " + kRulesVariable);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      if (rules_.size() == kMostRules) throw std::runtime_error("more than 64 rules; leave some");
      Rule rule = parse_rule(line);
      rule.index = static_cast<int>(rules_.size());
      rules_.push_back(std::move(rule));
    } catch (const std::exception& error) {
      give_up(file + ": line " + std::to_string(number) + ": " + error.what());
    }
  }
}

void Rules::map_page() {
  void* memory = MAP_FAILED;
  const char* file = std::getenv(kPageVariable);
  if (file && *file) {
    int descriptor = open(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) give_up(std::string(file) + ": cannot be opened; the page must be there");
    memory = mmap(nullptr, kRulePageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED) give_up(std::string(file) + ": cannot be mapped");
    page_ = static_cast<RulePage*>(memory);
  } else {
    page_ = new RulePage;
  }
}

void Rules::listen_to_signals() {
  for (const Rule& rule : rules_) {
    if (rule.signal == 0) continue;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(rule.signal, &action, nullptr);
  }
}

bool Rules::counting(const Rule& rule) const {
  if (rule.signal != 0 && !(signals_seen.load() >> rule.signal & 1)) return false;
  if (rule.after_messages > messages_.load(std::memory_order_relaxed)) return false;
  return state(rule).armed.load(std::memory_order_acquire) != 0;
}

bool Rules::strikes(const Rule& rule, const char* device) {
  if (!rule.device.empty() && rule.device != device) return false;
  if (!counting(rule)) return false;
  uint64_t number = state(rule).seen.fetch_add(1) + 1;
  if (number < rule.nth || (rule.times != 0 && number >= rule.nth + rule.times)) return false;
  note_fired(rule, device);
  return true;
}

void Rules::note_fired(const Rule& rule, const char* device) {
  RuleState& its = state(rule);
  int64_t never = 0;
  its.first_fired_ns.compare_exchange_strong(never, now_ns());
  its.fired.fetch_add(1);
  Line(device, "rule").add("rule", rule.index).add("text", rule.text);
}

}  // namespace railyard::passthrough
