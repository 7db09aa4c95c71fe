#include <exception>
#include <memory>
#include <string>

#include "railyard.h"
#include "railyard/group.h"

struct railyard_group {
  std::unique_ptr<railyard::Group> group;
  std::string description;
};

namespace {

thread_local std::string last_error, last_code;

void note(const char* code, const char* text) {
  last_code = code;
  last_error = text;
}

// Runs `work` and keeps what goes wrong; no exception may leave a C function.
template <typename Result, typename Work>
Result guarded(Result failure, Work work) noexcept {
  try {
    note("", "");
    return work();
  } catch (const railyard::Error& error) {
    note(name(error.code()), error.what());
  } catch (const std::exception& error) {
    note("error", error.what());
  }
  return failure;
}

template <typename Work>
int run(railyard_group* group, Work work) noexcept {
  return guarded(-1, [&] {
    if (!group) throw railyard::ConfigurationError("group", "", "is null; see railyard_init");
    work(*group->group);
    return 0;
  });
}

railyard_group* wrap(std::unique_ptr<railyard::Group> group) {
  if (!group) return nullptr;
  std::string description = group->description();
  return new railyard_group{std::move(group), std::move(description)};
}

railyard::Dtype dtype_of(railyard_dtype dtype) {
  int number = static_cast<int>(dtype);
  if (number < 0 || number >= railyard::kDtypeCount) {
    throw railyard::ConfigurationError("dtype", "", "is none of railyard_dtype");
  }
  return static_cast<railyard::Dtype>(number);
}

}  // namespace

railyard_group* railyard_init(int strict) {
  return guarded<railyard_group*>(nullptr, [&] { return wrap(railyard::init(strict != 0)); });
}

railyard_group* railyard_split(railyard_group* group, int color, int key) {
  railyard_group* part = nullptr;
  run(group, [&](railyard::Group& parent) { part = wrap(parent.split(color, key)); });
  return part;
}

void railyard_free(railyard_group* group) { delete group; }

int railyard_rank(const railyard_group* group) { return group ? group->group->rank() : -1; }

int railyard_size(const railyard_group* group) { return group ? group->group->size() : 0; }

const char* railyard_description(const railyard_group* group) {
  return group ? group->description.c_str() : "";
}

int railyard_all_sum(railyard_group* group, const void* input, void* output, size_t bytes,
                     railyard_dtype dtype) {
  return run(group, [&](auto& g) { g.all_sum(input, output, bytes, dtype_of(dtype)); });
}

int railyard_all_max(railyard_group* group, const void* input, void* output, size_t bytes,
                     railyard_dtype dtype) {
  return run(group, [&](auto& g) { g.all_max(input, output, bytes, dtype_of(dtype)); });
}

int railyard_all_min(railyard_group* group, const void* input, void* output, size_t bytes,
                     railyard_dtype dtype) {
  return run(group, [&](auto& g) { g.all_min(input, output, bytes, dtype_of(dtype)); });
}

int railyard_sum_scatter(railyard_group* group, const void* input, void* output, size_t bytes,
                         railyard_dtype dtype) {
  return run(group, [&](auto& g) { g.sum_scatter(input, output, bytes, dtype_of(dtype)); });
}

int railyard_all_gather(railyard_group* group, const void* input, void* output, size_t bytes) {
  return run(group, [&](auto& g) { g.all_gather(input, output, bytes); });
}

int railyard_broadcast(railyard_group* group, void* data, size_t bytes, int root) {
  return run(group, [&](auto& g) { g.broadcast(data, bytes, root); });
}

int railyard_all_to_all(railyard_group* group, const void* input, void* output, size_t bytes) {
  return run(group, [&](auto& g) { g.all_to_all(input, output, bytes); });
}

int railyard_send(railyard_group* group, const void* data, size_t bytes, int destination) {
  return run(group, [&](auto& g) { g.send(data, bytes, destination); });
}

int railyard_recv(railyard_group* group, void* data, size_t bytes, int source) {
  return run(group, [&](auto& g) { g.recv(data, bytes, source); });
}

int railyard_barrier(railyard_group* group) {
  return run(group, [](auto& g) { g.barrier(); });
}

void railyard_abort(railyard_group* group) {
  if (group) group->group->abort();
}

const char* railyard_last_error(void) { return last_error.c_str(); }

const char* railyard_last_error_code(void) { return last_code.c_str(); }
