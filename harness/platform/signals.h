// Signals by their names.
#pragma once

#include <string>
#include <vector>

namespace railyard::harness {

// Those that end a process and that scenarios may expect.
std::vector<std::string> ending_signals();

// "SIGSEGV"; "signal 42" for those that ending_signals() does not list.
std::string signal_name(int number);

// Of one of ending_signals(); -1: unknown.
int signal_number(const std::string& name);

// Whether a process that it ended did something that it must not.
bool is_crash(int number);

}  // namespace railyard::harness
