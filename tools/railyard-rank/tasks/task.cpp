#include "railyard-rank/tasks/task.h"

#include "railyard-rank/tasks/kinds.h"

namespace railyard::rank {

std::unique_ptr<Task> make_task(const worker::Operation& operation, const Draw& draw,
                                Context& context) {
  using Kind = worker::Operation::Kind;
  switch (operation.kind) {
    case Kind::loop:
      return make_loop(operation, draw, context);
    case Kind::mix:
      return make_mix(operation, draw, context);
    case Kind::tensor_parallel_decode:
      return make_tensor_parallel(operation, draw, context);
    case Kind::pipeline_decode:
      return make_pipeline(operation, draw, context);
    case Kind::moe_decode:
      return make_experts(operation, draw, context);
    case Kind::gradient_averaging:
      return make_gradient_averaging(operation, draw, context);
    case Kind::model_load:
      return make_model_load(operation, context);
    default:
      return make_plain(operation, context);
  }
}

}  // namespace railyard::rank
