// Loading a model: one rank has read it and hands it out layer by layer.
#include <fmt/format.h>

#include "railyard-rank/tasks/kinds.h"

namespace railyard::rank {
namespace {

using worker::Operation;

class ModelLoad final : public Task {
 public:
  ModelLoad(const Operation& operation, Context& context)
      : operation_(operation), context_(context) {}

  Finding step(const Draw& draw, Digest& digest) override {
    Group& group = context_.group;
    std::vector<uint8_t>& layer = context_.output;
    Finding first;
    for (uint32_t i = 0; i < operation_.layers; ++i) {
      Draw of_layer = draw;
      of_layer.seed = draw_number(draw, i);
      layer.assign(operation_.bytes, 0);
      if (group.rank() == operation_.from) {
        fill_bytes(of_layer, operation_.from, layer.size(), layer.data());
      }
      group.broadcast(layer.data(), layer.size(), operation_.from);
      digest.add(layer.data(), layer.size());
      Finding finding = check_bytes(of_layer, operation_.from, layer.size(), layer.data());
      // A program looks at a layer before it asks for the next one.
      group.barrier();
      if (!finding || first) continue;
      first = std::move(finding);
      first->expected += fmt::format(" in layer {}", i);
    }
    return first;
  }

 private:
  const Operation& operation_;
  Context& context_;
};

}  // namespace

std::unique_ptr<Task> make_model_load(const Operation& operation, Context& context) {
  return std::make_unique<ModelLoad>(operation, context);
}

}  // namespace railyard::rank
