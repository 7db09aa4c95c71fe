#include "operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "naive_sum.h"

namespace railyard::test {

namespace {

using Bytes = std::vector<std::byte>;

// The larger or smaller of each element; complex ones by their real, then their imaginary part.
Bytes best_of_ranks(int ranks, unsigned seed, size_t bytes, Dtype dtype, bool largest) {
  auto key = [&](const Bytes& data, size_t at) {
    double second = dtype == Dtype::Complex64 ? to_double(data.data() + at + 4, dtype) : 0;
    return std::pair(to_double(data.data() + at, dtype), second);
  };
  Bytes best = data_of_rank(0, seed, bytes, dtype);
  for (int rank = 1; rank < ranks; ++rank) {
    Bytes data = data_of_rank(rank, seed, bytes, dtype);
    for (size_t at = 0; at < bytes; at += size_of(dtype)) {
      bool better = largest ? key(best, at) < key(data, at) : key(data, at) < key(best, at);
      if (better) std::memcpy(best.data() + at, data.data() + at, size_of(dtype));
    }
  }
  return best;
}

void append(Bytes& all, const Bytes& data) { all.insert(all.end(), data.begin(), data.end()); }

class Check {
 public:
  Check(Group& group, std::string operation, Dtype dtype, size_t count, bool in_place,
        unsigned seed)
      : group_(group),
        operation_(std::move(operation)),
        dtype_(dtype),
        bytes_(count * size_of(dtype)),
        in_place_(in_place),
        seed_(seed),
        ranks_(static_cast<size_t>(group.size())),
        rank_(static_cast<size_t>(group.rank())) {}

  void run() {
    if (operation_ == "all_sum") {
      reduce(&Group::all_sum, sum_of_ranks(group_.size(), seed_, bytes_, dtype_));
    } else if (operation_ == "all_max") {
      reduce(&Group::all_max, best_of_ranks(group_.size(), seed_, bytes_, dtype_, true));
    } else if (operation_ == "all_min") {
      reduce(&Group::all_min, best_of_ranks(group_.size(), seed_, bytes_, dtype_, false));
    } else if (operation_ == "sum_scatter") {
      sum_scatter();
    } else if (operation_ == "all_gather") {
      all_gather();
    } else if (operation_ == "all_to_all") {
      all_to_all();
    } else if (operation_ == "broadcast") {
      broadcast();
    } else {
      throw std::invalid_argument("no operation: " + operation_);
    }
  }

 private:
  // Only what is compared is computed: of inputs for all ranks a rank's own part.
  Bytes data(size_t rank, size_t bytes, size_t offset = 0) const {
    return data_of_rank(static_cast<int>(rank), seed_, bytes, dtype_, offset);
  }
  Bytes mine(size_t bytes) const { return data(rank_, bytes); }

  void reduce(void (Group::*function)(const void*, void*, size_t, Dtype), const Bytes& expected) {
    Bytes input = mine(bytes_);
    Bytes output(in_place_ ? input : Bytes(bytes_));
    (group_.*function)(in_place_ ? output.data() : input.data(), output.data(), bytes_, dtype_);
    compare(output, expected);
  }

  void sum_scatter() {
    Bytes input = mine(bytes_ * ranks_);
    Bytes expected = sum_of_ranks(group_.size(), seed_, bytes_, dtype_, bytes_ * rank_);
    Bytes output(bytes_);
    // In place: over any chunk of the input.
    std::byte* target = in_place_ ? input.data() + bytes_ * (seed_ % ranks_) : output.data();
    group_.sum_scatter(input.data(), target, bytes_, dtype_);
    if (in_place_ && bytes_ > 0) std::memcpy(output.data(), target, bytes_);
    compare(output, expected);
  }

  void all_gather() {
    Bytes input = mine(bytes_), expected, output(bytes_ * ranks_);
    for (size_t r = 0; r < ranks_; ++r) append(expected, data(r, bytes_));
    std::byte* place = output.data() + bytes_ * rank_;
    if (in_place_ && bytes_ > 0) std::memcpy(place, input.data(), bytes_);
    group_.all_gather(in_place_ ? place : input.data(), output.data(), bytes_);
    compare(output, expected);
  }

  void all_to_all() {
    Bytes input = mine(bytes_ * ranks_), expected, output(bytes_ * ranks_);
    for (size_t r = 0; r < ranks_; ++r) append(expected, data(r, bytes_, bytes_ * rank_));
    if (in_place_) output = input;
    group_.all_to_all(in_place_ ? output.data() : input.data(), output.data(), bytes_);
    compare(output, expected);
  }

  void broadcast() {
    size_t root = seed_ % ranks_;
    Bytes output = mine(bytes_);
    group_.broadcast(output.data(), bytes_, static_cast<int>(root));
    compare(output, data(root, bytes_));
  }

  void compare(const Bytes& output, const Bytes& expected) const {
    auto [got, want] = std::mismatch(output.begin(), output.end(), expected.begin());
    if (got == output.end()) return;
    throw WrongData(fmt::format("{} of {} bytes of {}{}: byte {} is {}, expected {}", operation_,
                                bytes_, name(dtype_), in_place_ ? " in place" : "",
                                got - output.begin(), static_cast<int>(*got),
                                static_cast<int>(*want)));
  }

  Group& group_;
  const std::string operation_;
  const Dtype dtype_;
  const size_t bytes_;
  const bool in_place_;
  const unsigned seed_;
  const size_t ranks_, rank_;
};

}  // namespace

Dtype dtype_of(const std::string& text) {
  for (int i = 0; i < kDtypeCount; ++i) {
    if (text == name(static_cast<Dtype>(i))) return static_cast<Dtype>(i);
  }
  throw std::invalid_argument("no dtype: " + text);
}

void check_operation(Group& group, const std::string& operation, Dtype dtype, size_t count,
                     bool in_place, unsigned seed) {
  Check(group, operation, dtype, count, in_place, seed).run();
}

void check_all_operations(Group& group, Dtype dtype, size_t count, unsigned seed) {
  for (bool in_place : {false, true}) {
    for (const char* operation : {"all_sum", "all_max", "all_min", "sum_scatter", "all_gather",
                                  "all_to_all", "broadcast"}) {
      check_operation(group, operation, dtype, count, in_place, ++seed);
    }
  }
}

}  // namespace railyard::test
