#include "sub_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <thread>

#include "operations.h"

namespace railyard::test {

namespace {

std::vector<int> numbers(const std::string& text) {
  std::vector<int> result;
  std::istringstream in(text);
  for (std::string number; std::getline(in, number, ',');) result.push_back(std::stoi(number));
  return result;
}

// Each rank tells its right neighbour who it is.
void send_round(Group& group) {
  int right = (group.rank() + 1) % group.size();
  int left = (group.rank() + group.size() - 1) % group.size();
  int32_t mine = group.rank(), theirs = -1;
  group.send(&mine, sizeof(mine), right);
  group.recv(&theirs, sizeof(theirs), left);
  if (theirs != left) throw WrongData(fmt::format("rank {} said it is {}", left, theirs));
}

}  // namespace

void SubGroups::split(const std::string& colors, const std::string& keys) {
  std::vector<int> color = numbers(colors), key = numbers(keys);
  auto me = static_cast<size_t>(current_->rank());
  subs_.push_back(current_->split(color[me], key[me]));
  Group* sub = subs_.back().get();
  if (color[me] < 0) {
    if (sub) throw WrongData("a rank without a colour is in a group");
    std::cout << "sub none" << std::endl;
    return;
  }
  int rank = 0, size = 0;
  for (size_t other = 0; other < color.size(); ++other) {
    if (color[other] != color[me]) continue;
    ++size;
    if (std::pair(key[other], other) < std::pair(key[me], me)) ++rank;
  }
  if (!sub || sub->rank() != rank || sub->size() != size) {
    throw WrongData(fmt::format("split: rank {} of {} expected", rank, size));
  }
  check_all_operations(*sub, Dtype::Float32, 1003, 5);
  check_all_operations(*sub, Dtype::BFloat16, 40001, 9);
  sub->barrier();
  if (size > 1) send_round(*sub);
  std::cout << fmt::format("sub {} {}/{}", sub->backend(), rank, size) << std::endl;
}

void SubGroups::descend() {
  if (!subs_.empty() && subs_.back()) current_ = subs_.back().get();
}

void SubGroups::both(int repeat) {
  Group* sub = subs_.back().get();
  std::string problem;
  std::thread worker([&] {
    try {
      for (int i = 0; sub && i < repeat; ++i) {
        check_operation(*sub, "all_sum", Dtype::Float32, 20000, i % 2 == 0, 3);
      }
    } catch (const std::exception& error) {
      problem = error.what();
    }
  });
  for (int i = 0; i < repeat; ++i) {
    check_operation(*current_, "all_sum", Dtype::Float16, 9000, i % 2 == 0, 4);
  }
  worker.join();
  if (!problem.empty()) throw WrongData("in the sub-group: " + problem);
}

}  // namespace railyard::test
