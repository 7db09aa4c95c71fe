#include "platform/signals.h"

#include <signal.h>

namespace railyard::harness {

namespace {

struct Known {
  int number;
  const char* name;
  bool crash;
};
constexpr Known kKnown[] = {
    {SIGKILL, "SIGKILL", false}, {SIGTERM, "SIGTERM", false}, {SIGSEGV, "SIGSEGV", true},
    {SIGABRT, "SIGABRT", true},  {SIGBUS, "SIGBUS", true},    {SIGILL, "SIGILL", true},
    {SIGFPE, "SIGFPE", true},    {SIGTRAP, "SIGTRAP", true},  {SIGSYS, "SIGSYS", true},
    {SIGPIPE, "SIGPIPE", false}, {SIGINT, "SIGINT", false},   {SIGHUP, "SIGHUP", false},
    {SIGXFSZ, "SIGXFSZ", false}, {SIGXCPU, "SIGXCPU", false}};

}  // namespace

std::vector<std::string> ending_signals() {
  std::vector<std::string> names;
  for (const Known& each : kKnown) names.emplace_back(each.name);
  return names;
}

std::string signal_name(int number) {
  for (const Known& each : kKnown) {
    if (each.number == number) return each.name;
  }
  return "signal " + std::to_string(number);
}

int signal_number(const std::string& name) {
  for (const Known& each : kKnown) {
    if (each.name == name) return each.number;
  }
  return -1;
}

bool is_crash(int number) {
  for (const Known& each : kKnown) {
    if (each.number == number) return each.crash;
  }
  return false;
}

}  // namespace railyard::harness
