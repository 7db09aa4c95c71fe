// railyard-bench: one rank of `railyard bench`. The group is the one that its environment
// describes. Exit codes: 0 all is well, 1 an operation failed, 2 bad input, 3 wrong data.
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>

#include "railyard-bench/cores.h"
#include "railyard-bench/sweep.h"
#include "railyard-rank/element.h"
#include "railyard/group.h"

namespace {

using railyard::Dtype;
using railyard::Group;
using railyard::bench::Sweep;

class Runtime final : public railyard::bench::Contestant {
 public:
  Runtime(Group& group, const Sweep& sweep)
      : group_(group),
        dtype_(static_cast<Dtype>(*railyard::rank::element_type(sweep.dtype))),
        call_(call_of(sweep.operation)) {}

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  void barrier() override { group_.barrier(); }
  double maximum(double value) override {
    double result = 0;
    group_.all_max(&value, &result, sizeof(value), Dtype::Float64);
    return result;
  }
  void run(const void* input, void* output, size_t bytes) override { call_(input, output, bytes); }

 private:
  using Call = std::function<void(const void*, void*, size_t)>;

  Call call_of(const std::string& operation) {
    auto share = [this](size_t bytes) { return bytes / static_cast<size_t>(group_.size()); };
    if (operation == "all_sum") {
      return [this](auto* in, auto* out, size_t n) { group_.all_sum(in, out, n, dtype_); };
    }
    if (operation == "all_max") {
      return [this](auto* in, auto* out, size_t n) { group_.all_max(in, out, n, dtype_); };
    }
    if (operation == "all_min") {
      return [this](auto* in, auto* out, size_t n) { group_.all_min(in, out, n, dtype_); };
    }
    if (operation == "sum_scatter") {
      return [=, this](auto* in, auto* out, size_t n) {
        group_.sum_scatter(in, out, share(n), dtype_);
      };
    }
    if (operation == "all_gather") {
      return [=, this](auto* in, auto* out, size_t n) { group_.all_gather(in, out, share(n)); };
    }
    if (operation == "all_to_all") {
      return [=, this](auto* in, auto* out, size_t n) { group_.all_to_all(in, out, share(n)); };
    }
    if (operation == "broadcast") {
      return [this](auto*, auto* out, size_t n) { group_.broadcast(out, n, 0); };
    }
    if (operation == "barrier") {
      return [this](auto*, auto*, size_t) { group_.barrier(); };
    }
    if (operation == "send_recv") {
      return [this](auto* in, auto* out, size_t n) { ping_pong(in, out, n); };
    }
    throw std::invalid_argument("no operation " + operation);
  }

  // There and back between ranks 0 and 1; the others pass by.
  void ping_pong(const void* input, void* output, size_t bytes) {
    if (rank() == 0) {
      group_.send(input, bytes, 1);
      group_.recv(output, bytes, 1);
    } else if (rank() == 1) {
      group_.recv(output, bytes, 0);
      group_.send(output, bytes, 0);
    }
  }

  Group& group_;
  const Dtype dtype_;
  const Call call_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Sweep sweep = Sweep::from_arguments(argc, argv);
    auto config = railyard::Config::from_environment();
    if (!config) throw std::invalid_argument("start it with railyard bench");
    railyard::bench::keep_to_core(config->rank);
    auto group = Group::create(*config);
    Runtime runtime(*group, sweep);
    if (group->rank() == 0) std::printf("backend %s\n", group->description().c_str());
    return railyard::bench::measure(sweep, runtime) ? 0 : 3;
  } catch (const railyard::ConfigurationError& error) {
    std::fprintf(stderr, "railyard-bench: %s\n", error.what());
    return 2;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "railyard-bench: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "railyard-bench: %s\n", error.what());
    return 1;
  }
}
