// A group without other processes, in which all ranks have the same: sums are multiples. It keeps
// what was summed, and refuses everything else.
#pragma once

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/array.h"

namespace railyard::test {

class SameGroup : public Group {
 public:
  SameGroup(int rank, int size) : rank_(rank), size_(size) {}

  struct Sum {
    size_t bytes = 0;
    Dtype dtype = Dtype::Float32;
    bool operator==(const Sum&) const = default;
  };
  std::vector<Sum> sums;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& backend() const override { return text_; }
  const std::string& backend_reason() const override { return text_; }

  void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) override {
    sums.push_back({bytes, dtype});
    nn::Array array({static_cast<int64_t>(bytes / size_of(dtype))}, dtype);
    std::memcpy(array.data(), input, bytes);
    std::vector<float> values = array.values();
    for (float& value : values) value *= static_cast<float>(size_);
    std::memcpy(output, nn::Array(array.shape(), dtype, values).data(), bytes);
  }

  std::unique_ptr<Group> split(int, int) override { refuse(); }
  void all_max(const void*, void*, size_t, Dtype) override { refuse(); }
  void all_min(const void*, void*, size_t, Dtype) override { refuse(); }
  void sum_scatter(const void*, void*, size_t, Dtype) override { refuse(); }
  void all_gather(const void*, void*, size_t) override { refuse(); }
  void broadcast(void*, size_t, int) override { refuse(); }
  void all_to_all(const void*, void*, size_t) override { refuse(); }
  void barrier() override { refuse(); }
  void send(const void*, size_t, int) override { refuse(); }
  void recv(void*, size_t, int) override { refuse(); }
  void abort() override { refuse(); }

 private:
  [[noreturn]] static void refuse() { throw std::logic_error("nothing but sums is expected"); }

  int rank_, size_;
  std::string text_ = "same";
};

}  // namespace railyard::test
