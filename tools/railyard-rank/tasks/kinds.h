// The kinds of tasks; each is defined in the file of its name.
#pragma once

#include <memory>

#include "railyard-rank/tasks/task.h"

namespace railyard::rank {

// One call of the group, or none.
std::unique_ptr<Task> make_plain(const worker::Operation&, Context&);
// Operations one after the other, and one of several by chance.
std::unique_ptr<Task> make_loop(const worker::Operation&, const Draw&, Context&);
std::unique_ptr<Task> make_mix(const worker::Operation&, const Draw&, Context&);
// Models.
std::unique_ptr<Task> make_tensor_parallel(const worker::Operation&, const Draw&, Context&);
std::unique_ptr<Task> make_pipeline(const worker::Operation&, const Draw&, Context&);
std::unique_ptr<Task> make_experts(const worker::Operation&, const Draw&, Context&);
std::unique_ptr<Task> make_gradient_averaging(const worker::Operation&, const Draw&, Context&);
std::unique_ptr<Task> make_model_load(const worker::Operation&, Context&);

}  // namespace railyard::rank
