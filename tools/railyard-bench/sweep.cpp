#include "railyard-bench/sweep.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

#include "railyard-rank/element.h"

namespace railyard::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUps = 5, kWarmUpTries = 5;
// Of the time for a size: at first ranks that share a core are still in each other's way.
constexpr double kWarmUpShare = 0.1;
// Batches are long enough for the clock and the barrier between them not to matter, short enough
// that some pass undisturbed where others want the cores too, and many enough for a median.
constexpr double kBatchSeconds = 0.5e-3;
constexpr double kLeastBatches = 5, kMostBatches = 1000;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Whole numbers whose sums over 32 ranks are exact in every type of at least eleven bits.
int64_t input_value(int rank, size_t index) { return (static_cast<int64_t>(index) + rank) % 3; }

// What an operation leaves in element `index` of the output of `rank`.
class Expectation {
 public:
  Expectation(const std::string& operation, int rank, int size, size_t count)
      : operation_(operation),
        rank_(rank),
        size_(size),
        share_(count / static_cast<size_t>(size)) {}

  // Elements of the output.
  size_t count(size_t all) const { return operation_ == "sum_scatter" ? share_ : all; }

  int64_t value(size_t index) const {
    if (operation_ == "all_sum") return sum(index);
    if (operation_ == "sum_scatter") return sum(share_ * static_cast<size_t>(rank_) + index);
    if (operation_ == "all_max") return size_ > 2 ? 2 : extremum(index, true);
    if (operation_ == "all_min") return size_ > 2 ? 0 : extremum(index, false);
    if (operation_ == "broadcast" || operation_ == "send_recv") return input_value(0, index);
    int source = share_ ? static_cast<int>(index / share_) : 0;
    size_t place = share_ ? index % share_ : 0;
    if (operation_ == "all_to_all") place += share_ * static_cast<size_t>(rank_);
    return input_value(source, place);
  }

 private:
  int64_t sum(size_t index) const {
    int64_t total = 0;
    for (int rank = 0; rank < size_; ++rank) total += input_value(rank, index);
    return total;
  }
  int64_t extremum(size_t index, bool largest) const {
    int64_t first = input_value(0, index), second = input_value(size_ - 1, index);
    return largest ? std::max(first, second) : std::min(first, second);
  }

  const std::string operation_;
  const int rank_, size_;
  const size_t share_;
};

// What is sent and received: where systems have large pages it begins on one, as the memory of
// large tensors does.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    data_.reset(static_cast<std::byte*>(
        std::aligned_alloc(kLargePage, (bytes + kLargePage - 1) / kLargePage * kLargePage)));
    if (!data_) throw std::bad_alloc();
    std::fill_n(data_.get(), bytes, std::byte{0});
  }

  size_t size() const { return bytes_; }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::byte& operator[](size_t i) { return data_[i]; }
  const std::byte& operator[](size_t i) const { return data_[i]; }

 private:
  static constexpr size_t kLargePage = size_t{2} << 20;

  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };

  size_t bytes_;
  std::unique_ptr<std::byte[], Free> data_;
};

class Measurement {
 public:
  Measurement(const Sweep& sweep, Contestant& contestant)
      : sweep_(sweep),
        contestant_(contestant),
        type_(*rank::element_type(sweep.dtype)),
        input_(sweep.most_bytes),
        output_(sweep.most_bytes) {
    rank::with_codec(type_, [&](auto codec) {
      using Codec = decltype(codec);
      for (size_t at = 0; at + sizeof(typename Codec::Bits) <= input_.size();
           at += sizeof(typename Codec::Bits)) {
        auto bits =
            Codec::encode(input_value(contestant.rank(), at / sizeof(typename Codec::Bits)));
        std::memcpy(&input_[at], &bits, sizeof(bits));
      }
    });
  }

  // Returns whether the results were right.
  bool run(size_t bytes) {
    double once = warm_up(bytes);
    double wrong = contestant_.maximum(static_cast<double>(count_wrong(bytes)));
    double repeat = std::clamp(kBatchSeconds / once, 1.0, 10'000.0);
    double batches = std::clamp(sweep_.seconds / (repeat * once), kLeastBatches, kMostBatches);
    std::vector<double> times;
    for (int i = 0; i < static_cast<int>(batches); ++i) {
      times.push_back(time_batch(bytes, static_cast<int>(repeat)));
    }
    std::sort(times.begin(), times.end());
    if (contestant_.rank() == 0) {
      std::printf("row %zu %zu %.3f %.3f %.0f\n", bytes, bytes / rank::element_bytes(type_),
                  times[times.size() / 2] * 1e6, times.front() * 1e6, wrong);
      std::fflush(stdout);
    }
    return wrong == 0;
  }

 private:
  // The seconds of one call, at best: one that lost its core is no measure for how long a batch is.
  double warm_up(size_t bytes) {
    std::fill_n(output_.data(), bytes, std::byte{0xff});
    if (sweep_.operation == "broadcast" && contestant_.rank() == 0) {
      std::copy_n(input_.data(), bytes, output_.data());
    }
    double least = 1e9, all = 0;  // the same in all ranks
    for (int i = 0; i < kWarmUpTries || all < kWarmUpShare * sweep_.seconds; ++i) {
      double once = time_batch(bytes, kWarmUps);
      least = std::min(least, once);
      all += once * kWarmUps;
    }
    return std::max(least, 1e-9);
  }

  double time_batch(size_t bytes, int repeat) {
    contestant_.barrier();
    auto begin = Clock::now();
    for (int i = 0; i < repeat; ++i) call(bytes);
    return contestant_.maximum(seconds_since(begin) / repeat);
  }

  void call(size_t bytes) { contestant_.run(input_.data(), output_.data(), bytes); }

  size_t count_wrong(size_t bytes) const {
    if (sweep_.operation == "barrier") return 0;
    if (sweep_.operation == "send_recv" && contestant_.rank() > 1) return 0;
    Expectation expected(sweep_.operation, contestant_.rank(), contestant_.size(),
                         bytes / rank::element_bytes(type_));
    return rank::with_codec(type_, [&](auto codec) {
      using Codec = decltype(codec);
      size_t wrong = 0, count = expected.count(bytes / sizeof(typename Codec::Bits));
      for (size_t i = 0; i < count; ++i) {
        auto bits = Codec::encode(expected.value(i));
        wrong += std::memcmp(&bits, &output_[i * sizeof(bits)], sizeof(bits)) != 0;
      }
      return wrong;
    });
  }

  const Sweep& sweep_;
  Contestant& contestant_;
  const rank::ElementType type_;
  Buffer input_, output_;
};

}  // namespace

Sweep Sweep::from_arguments(int argc, char** argv) {
  Sweep sweep;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    size_t equals = word.find('=');
    if (equals == std::string::npos) throw std::invalid_argument(word + ": write --name=value");
    std::string name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "--op") {
      sweep.operation = value;
    } else if (name == "--dtype") {
      sweep.dtype = value;
    } else if (name == "--min") {
      sweep.least_bytes = std::stoull(value);
    } else if (name == "--max") {
      sweep.most_bytes = std::stoull(value);
    } else if (name == "--factor") {
      sweep.factor = std::stoull(value);
    } else if (name == "--seconds") {
      sweep.seconds = std::stod(value);
    } else {
      throw std::invalid_argument(name + ": unknown; see railyard bench --help");
    }
  }
  if (!rank::element_type(sweep.dtype)) throw std::invalid_argument("no dtype " + sweep.dtype);
  if (sweep.factor < 2) throw std::invalid_argument("--factor: at least 2");
  return sweep;
}

bool measure(const Sweep& sweep, Contestant& contestant) {
  Measurement measurement(sweep, contestant);
  bool right = true;
  // Whole elements for every rank.
  size_t unit = rank::element_bytes(*rank::element_type(sweep.dtype));
  bool shares = sweep.operation == "all_gather" || sweep.operation == "sum_scatter" ||
                sweep.operation == "all_to_all";
  if (shares) unit *= static_cast<size_t>(contestant.size());
  size_t before = 0;
  for (size_t bytes = sweep.least_bytes; bytes <= sweep.most_bytes; bytes *= sweep.factor) {
    size_t whole = bytes / unit * unit;
    if (sweep.operation != "barrier" && (whole == 0 || whole == before)) continue;
    right = measurement.run(whole) && right;
    before = whole;
    if (sweep.operation == "barrier") break;
  }
  return right;
}

}  // namespace railyard::bench
