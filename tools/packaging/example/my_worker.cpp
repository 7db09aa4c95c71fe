// One rank: sums over all ranks as often as its argument says. Knows nothing of scenarios.
#include <railyard/error.h>
#include <railyard/group.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

int main(int argc, char** argv) {
  int times = argc > 1 ? std::atoi(argv[1]) : 1;
  try {
    std::unique_ptr<railyard::Group> group = railyard::init(/*strict=*/true);
    std::printf("rank %d of %d over %s\n", group->rank(), group->size(),
                group->description().c_str());
    std::vector<float> numbers(1000);
    for (int i = 0; i < times; ++i) {
      numbers.assign(numbers.size(), static_cast<float>(group->rank() + 1));
      group->all_sum(numbers.data(), numbers.data(), numbers.size() * sizeof(float),
                     railyard::Dtype::Float32);
    }
    auto size = static_cast<float>(group->size());
    return numbers.back() == size * (size + 1) / 2 ? 0 : 3;
  } catch (const railyard::Error& error) {
    std::fprintf(stderr, "%s: %s\n", railyard::name(error.code()), error.what());
    return 1;
  }
}
