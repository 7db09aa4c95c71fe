// Four ranks as two stages of two: sums within a stage, activations from stage to stage.
#include <cstdio>
#include <vector>

#include "railyard/group.h"

int main() {
  try {
    auto world = railyard::init(/*strict=*/true);
    int stages = world->size() > 1 ? 2 : 1;
    int width = world->size() / stages;
    int stage = world->rank() / width;
    auto tensor = world->split(stage, world->rank());

    std::vector<float> activations(4096, 1.0f);
    size_t bytes = activations.size() * sizeof(float);
    if (stage > 0) world->recv(activations.data(), bytes, world->rank() - width);
    tensor->all_sum(activations.data(), activations.data(), bytes, railyard::Dtype::Float32);
    if (stage + 1 < stages) world->send(activations.data(), bytes, world->rank() + width);
    world->barrier();

    float expected = 1;
    for (int i = 0; i <= stage; ++i) expected *= static_cast<float>(width);
    bool right = activations.front() == expected && activations.back() == expected;
    std::printf("stage %d is over %s\n%s\n", stage, tensor->description().c_str(),
                right ? "ok" : "wrong");
    return right ? 0 : 3;
  } catch (const railyard::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
