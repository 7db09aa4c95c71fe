// A rank for tests: makes the group that the environment describes and carries out the steps in its
// arguments. Prints "ok", or "error CODE peer=P origin=O device=D rail=R status=S operation=OP
// MESSAGE".
//
//   all_sum:DTYPE:COUNT:REPEAT[:inplace]   checks every element
//   operations:DTYPE:COUNT               every collective, in place and not, checked
//   sums_of:BYTES:...                      float32 all_sums of these sizes in bytes
//   digest:COUNT                           prints a digest of a float32 sum whose order matters
//   barrier[:REPEAT]
//   move:A:B:BYTES[:REPEAT]                rank A sends, rank B receives and checks
//   cross:BYTES                            two ranks send to each other, then receive
//   unequal:SENT:TAKEN                     rank 0 sends so many bytes, rank 1 receives others
//   threads:N:REPEAT                       N threads sum at the same time
//   second:PORT                            a second group on the same devices, beside the first
//   split:COLORS:KEYS                     one of each for every rank; checks the sub-group
//   descend   both:REPEAT                 goes on in it; sums in it and its parent at once
//   drop                                  destroys all sub-groups
//   mismatch:R:KIND                        rank R does something else than the others
//   mismatch:R:bytes:A:B                   it sums B bytes, the others A
//   die:R   stop:R   sleep:R:MS   abort:R:MS   (for one rank; R = -1: all)
//   say:TEXT   wait                        prints a line; waits for one on standard input
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "naive_sum.h"
#include "operations.h"
#include "railyard/group.h"
#include "sub_groups.h"

namespace {

using namespace railyard;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

using test::WrongData;

class Steps {
 public:
  explicit Steps(Group& group) : group_(group), subs_(group) {}

  void run(const std::string& text) {
    parts_ = split(text);
    const std::string& what = parts_[0];
    if (what == "all_sum") return all_sum();
    if (what == "operations") return operations();
    if (what == "sums_of") return sums_of();
    if (what == "digest") return digest();
    if (what == "barrier") return repeat(1, [&](int) { group_.barrier(); });
    if (what == "move") return move();
    if (what == "cross") return cross();
    if (what == "unequal") return unequal();
    if (what == "threads") return threads();
    if (what == "second") return second();
    if (what == "split") return subs_.split(parts_[1], parts_[2]);
    if (what == "descend") return subs_.descend();
    if (what == "both") return subs_.both(number(1));
    if (what == "drop") return subs_.drop();
    if (what == "mismatch") return mismatch();
    if (what == "say") return say(parts_[1]);
    if (what == "wait") return wait();
    if (number(1) >= 0 && number(1) != group_.rank()) return;
    if (what == "die") raise(SIGKILL);
    if (what == "stop") raise(SIGSTOP);
    if (what == "sleep") std::this_thread::sleep_for(std::chrono::milliseconds(number(2)));
    if (what == "abort") {
      std::thread([&group = group_, ms = number(2)] {
        std::this_thread::sleep_for(std::chrono::milliseconds(ms));
        group.abort();
      }).detach();
    }
  }

 private:
  int number(size_t part) const { return part < parts_.size() ? std::stoi(parts_[part]) : 0; }

  template <typename Work>
  void repeat(size_t part, Work work) {
    int count = part < parts_.size() ? number(part) : 1;
    for (int i = 0; i < count; ++i) work(i);
  }

  void all_sum() {
    Dtype dtype = test::dtype_of(parts_[1]);
    auto bytes = static_cast<size_t>(number(2)) * size_of(dtype);
    bool in_place = parts_.size() > 4 && parts_[4] == "inplace";
    repeat(3, [&](int) { sum_once(dtype, bytes, in_place); });
  }

  void operations() {
    test::check_all_operations(group_, test::dtype_of(parts_[1]), static_cast<size_t>(number(2)),
                               seed_++);
  }

  void sums_of() {
    for (size_t i = 1; i < parts_.size(); ++i) {
      sum_once(Dtype::Float32, static_cast<size_t>(number(i)), i % 2 == 0);
    }
  }

  void sum_once(Dtype dtype, size_t bytes, bool in_place) {
    test::check_operation(group_, "all_sum", dtype, bytes / size_of(dtype), in_place, seed_++);
  }

  void digest() {
    auto count = static_cast<size_t>(number(1));
    std::vector<float> data(count);
    for (size_t i = 0; i < count; ++i) {
      data[i] = 1.0f / static_cast<float>(i * 7 + static_cast<size_t>(group_.rank()) * 3 + 1);
    }
    group_.all_sum(data.data(), data.data(), count * sizeof(float), Dtype::Float32);
    uint64_t hash = 1469598103934665603u;
    for (float value : data) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      hash = (hash ^ bits) * 1099511628211u;
    }
    say(fmt::format("digest {:016x}", hash));
  }

  void move() {
    int source = number(1), destination = number(2);
    auto bytes = static_cast<size_t>(number(3));
    repeat(4, [&](int round) {
      std::vector<unsigned char> data(bytes);
      auto value = [&](size_t i) {
        return static_cast<unsigned char>(i * 31 + static_cast<size_t>(round));
      };
      if (group_.rank() == source) {
        for (size_t i = 0; i < bytes; ++i) data[i] = value(i);
        group_.send(data.data(), bytes, destination);
      } else if (group_.rank() == destination) {
        group_.recv(data.data(), bytes, source);
        for (size_t i = 0; i < bytes; ++i) {
          if (data[i] != value(i))
            throw WrongData(fmt::format("move: byte {} of {} is wrong", i, bytes));
        }
      }
    });
  }

  void cross() {
    auto bytes = static_cast<size_t>(number(1));
    std::vector<char> out(bytes, static_cast<char>(group_.rank() + 1)), in(bytes);
    int other = 1 - group_.rank();
    group_.send(out.data(), bytes, other);
    group_.recv(in.data(), bytes, other);
    if (in != std::vector<char>(bytes, static_cast<char>(other + 1))) throw WrongData("cross");
  }

  void unequal() {
    std::vector<char> data(static_cast<size_t>(std::max(number(1), number(2))));
    if (group_.rank() == 0) {
      group_.send(data.data(), static_cast<size_t>(number(1)), 1);
    } else {
      group_.recv(data.data(), static_cast<size_t>(number(2)), 0);
    }
  }

  void threads() {
    std::vector<std::thread> workers;
    std::atomic<int> wrong{0};
    for (int i = 0; i < number(1); ++i) {
      workers.emplace_back([this, &wrong] {
        for (int round = 0; round < number(2); ++round) {
          std::vector<int32_t> data(5000, group_.rank() + 1);
          group_.all_sum(data.data(), data.data(), data.size() * 4, Dtype::Int32);
          int32_t expected = group_.size() * (group_.size() + 1) / 2;
          for (int32_t value : data) wrong += value != expected;
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
    if (wrong > 0) throw WrongData("threads got each other's data");
  }

  void second() {
    Config config = *Config::from_environment();
    config.coordinator = "127.0.0.1:" + parts_[1];
    std::unique_ptr<Group> group = Group::create(config);
    Steps steps(*group);
    for (int i = 0; i < 10; ++i) {
      steps.run("all_sum:float32:50000:1");
      sum_once(Dtype::Float32, 4000, false);
    }
  }

  void mismatch() {
    bool other = group_.rank() == number(1);
    std::vector<float> data(200'000);
    if (parts_[2] == "bytes") {
      auto bytes = static_cast<size_t>(number(other ? 4 : 3));
      group_.all_sum(data.data(), data.data(), bytes, Dtype::Float32);
    } else if (parts_[2] == "dtype") {
      group_.all_sum(data.data(), data.data(), 64, other ? Dtype::Int32 : Dtype::Float32);
    } else if (parts_[2] == "max") {
      auto function = other ? &Group::all_max : &Group::all_sum;
      (group_.*function)(data.data(), data.data(), 64, Dtype::Float32);
    } else if (parts_[2] == "gather" && other) {
      group_.sum_scatter(data.data(), data.data(), 64, Dtype::Float32);
    } else if (parts_[2] == "gather") {
      group_.all_gather(data.data(), data.data() + 16, 64);
    } else if (parts_[2] == "root") {
      group_.broadcast(data.data(), 64, other ? 1 : 0);
    } else if (other) {
      group_.barrier();
    } else {
      group_.all_sum(data.data(), data.data(), 800'000, Dtype::Float32);
    }
  }

  void say(const std::string& text) { std::cout << text << std::endl; }
  void wait() {
    std::string line;
    std::getline(std::cin, line);
  }

  Group& group_;
  test::SubGroups subs_;
  std::vector<std::string> parts_;
  unsigned seed_ = 1;
};

void print(const Error& error) {
  std::cout << fmt::format("error {} peer={} origin={} device={} rail={} status={} operation={} {}",
                           name(error.code()), error.peer, error.origin, error.device, error.rail,
                           error.completion_status, error.operation, error.what())
            << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::unique_ptr<Group> group = init(true);
    Steps steps(*group);
    try {
      for (int i = 1; i < argc; ++i) steps.run(argv[i]);
    } catch (const Error& error) {
      print(error);
      try {
        group->barrier();
        std::cout << "a barrier after the error succeeded" << std::endl;
      } catch (const Error& later) {
        std::cout << "later " << name(later.code()) << std::endl;
      }
      return 1;
    }
  } catch (const Error& error) {
    print(error);
    return 1;
  } catch (const WrongData& wrong) {
    std::cout << "wrong " << wrong.what() << std::endl;
    return 3;
  }
  std::cout << "ok" << std::endl;
  return 0;
}
