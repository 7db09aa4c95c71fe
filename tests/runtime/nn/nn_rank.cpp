// A rank for tests of nn: makes the group that the environment describes and carries out the steps
// in its arguments, each checked against the same on one rank. Prints the digest of each step's
// result, which all ranks have alike, then "ok".
//
//   linear:SHARDING:DTYPE:ROWS:IN:OUT[:SEGMENTS[:BITS]]   SHARDING: all-to-sharded, sharded-to-all
//   block:DTYPE:ROWS:WIDTH:HIDDEN[:BITS]
//   average:DTYPE:WIRE:BATCH_BYTES:same|mixed:COUNT:COUNT:...
//   training:ROWS:WIDTH:HIDDEN
//   experts:DTYPE:WIRE:EXPERTS:TOP_K:TOKENS[:BITS]
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../operations.h"
#include "railyard/group.h"
#include "steps.h"

namespace {

using namespace railyard;

class Step {
 public:
  explicit Step(const std::string& text) : parts_(1) {
    for (char c : text) {
      if (c == ':') {
        parts_.emplace_back();
      } else {
        parts_.back() += c;
      }
    }
  }

  std::string run(Group& group) const {
    const std::string& what = parts_[0];
    if (what == "linear") return test::check_linear(group, linear());
    if (what == "block") {
      return test::check_block(group, dtype(1), number(2), number(3), number(4),
                               static_cast<int>(number(5)));
    }
    if (what == "average") {
      return test::check_average(group, dtype(1), dtype(2), static_cast<size_t>(number(3)),
                                 numbers_from(5), parts_[4] == "mixed");
    }
    if (what == "training") return test::check_training(group, number(1), number(2), number(3));
    if (what == "experts") return test::check_experts(group, experts());
    throw std::runtime_error("unknown step " + what);
  }

 private:
  int64_t number(size_t part, int64_t missing = 0) const {
    return part < parts_.size() ? std::stoll(parts_[part]) : missing;
  }
  Dtype dtype(size_t part) const { return test::dtype_of(parts_[part]); }
  std::vector<int64_t> numbers_from(size_t part) const {
    std::vector<int64_t> numbers;
    for (; part < parts_.size(); ++part) numbers.push_back(number(part));
    return numbers;
  }

  test::LinearCase linear() const {
    return {.sharding = parts_[1] == "all-to-sharded" ? nn::Sharding::all_to_sharded
                                                      : nn::Sharding::sharded_to_all,
            .dtype = dtype(2),
            .rows = number(3),
            .in = number(4),
            .out = number(5),
            .segments = static_cast<int>(number(6, 1)),
            .bits = static_cast<int>(number(7))};
  }

  test::ExpertsCase experts() const {
    test::ExpertsCase which;
    which.dtype = dtype(1);
    which.wire = dtype(2);
    which.experts = static_cast<int>(number(3));
    which.top_k = static_cast<int>(number(4));
    which.tokens = number(5);
    which.bits = static_cast<int>(number(6));
    return which;
  }

  std::vector<std::string> parts_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string step = "start";
  try {
    const std::unique_ptr<Group> group = init(true);
    for (int i = 1; i < argc; ++i) {
      step = argv[i];
      std::cout << step << " " << Step(step).run(*group) << std::endl;
    }
  } catch (const std::exception& error) {
    std::cout << step << ": " << error.what() << std::endl;
    return 1;
  }
  std::cout << "ok" << std::endl;
  return 0;
}
