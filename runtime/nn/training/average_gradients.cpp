#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "nn/tensor/check.h"
#include "railyard/nn/gradients.h"

namespace railyard::nn {
namespace {

bool is_floating(Dtype dtype) {
  return dtype == Dtype::Float16 || dtype == Dtype::BFloat16 || dtype == Dtype::Float32;
}

// One all_sum's worth of arrays, side by side on the wire.
class Batch {
 public:
  explicit Batch(Dtype wire) : wire_(wire) {}

  void add(Array& array) {
    arrays_.push_back(&array);
    bytes_ += static_cast<size_t>(array.count()) * size_of(wire_);
  }
  size_t bytes() const { return bytes_; }
  bool empty() const { return arrays_.empty(); }

  void average(Group& group) {
    Array sums({static_cast<int64_t>(bytes_ / size_of(wire_))}, wire_);
    std::byte* to = sums.data();
    for (const Array* array : arrays_) {
      const Array sent = array->as(wire_);
      if (sent.bytes() > 0) std::memcpy(to, sent.data(), sent.bytes());
      to += sent.bytes();
    }
    group.all_sum(sums.data(), sums.data(), sums.bytes(), wire_);
    spread(sums.values(), static_cast<float>(group.size()));
    arrays_.clear();
    bytes_ = 0;
  }

 private:
  void spread(const std::vector<float>& sums, float ranks) {
    std::span<const float> rest = sums;
    for (Array* array : arrays_) {
      std::vector<float> means(static_cast<size_t>(array->count()));
      std::transform(rest.begin(), rest.begin() + array->count(), means.begin(),
                     [ranks](float sum) { return sum / ranks; });
      rest = rest.subspan(means.size());
      *array = Array(array->shape(), array->dtype(), means);
    }
  }

  Dtype wire_;
  std::vector<Array*> arrays_;
  size_t bytes_ = 0;
};

size_t average(const std::vector<Array*>& gradients, Group& group, const AverageOptions& options) {
  for (const Array* gradient : gradients) {
    if (!is_floating(gradient->dtype()) || !is_floating(options.wire.value_or(Dtype::Float32))) {
      fail("average_gradients",
           fmt::format("{} gradients{}; float32, float16 and bfloat16 have a mean",
                       name(gradient->dtype()),
                       options.wire ? fmt::format(" as {}", name(*options.wire)) : ""));
    }
  }
  if (group.size() == 1 || gradients.empty()) return 0;
  const Dtype first = gradients.front()->dtype();
  const bool mixed = std::any_of(gradients.begin(), gradients.end(),
                                 [first](const Array* array) { return array->dtype() != first; });
  const size_t batch_bytes = mixed ? 0 : options.batch_bytes;

  size_t sums = 0;
  Batch batch(options.wire.value_or(first));
  for (Array* gradient : gradients) {
    if (mixed) batch = Batch(options.wire.value_or(gradient->dtype()));
    batch.add(*gradient);
    if (batch.bytes() < batch_bytes) continue;
    batch.average(group);
    ++sums;
  }
  if (!batch.empty()) {
    batch.average(group);
    ++sums;
  }
  return sums;
}

}  // namespace

size_t average_gradients(std::vector<Array>& gradients, Group& group,
                         const AverageOptions& options) {
  std::vector<Array*> arrays;
  for (Array& gradient : gradients) arrays.push_back(&gradient);
  return average(arrays, group, options);
}

size_t average_gradients(Parameters& gradients, Group& group, const AverageOptions& options) {
  std::vector<Array*> arrays;
  for (auto& [path, gradient] : gradients) arrays.push_back(&gradient);
  return average(arrays, group, options);
}

}  // namespace railyard::nn
