// Mistakes with what a device has a limited number of.
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"
#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

// As in the field: so many sizes of buffer, 4 KiB and up, two buffers of each, in both directions.
constexpr size_t kSizes = 8;
constexpr size_t kBuffers = 2;
constexpr size_t kPageBytes = 4096;
constexpr int kQueuePairs = 11;

using Domain = std::unique_ptr<ibv_pd, Closer<ibv_dealloc_pd>>;
using Region = std::unique_ptr<ibv_mr, Closer<ibv_dereg_mr>>;
using Memory = std::unique_ptr<void, Closer<free>>;

struct Registered {
  Memory memory;
  Region region;
};

[[noreturn]] void fail(const std::string& device, const char* verb, int error_number,
                       const std::string& what) {
  throw WorkerError({.code = "device",
                     .operation = verb,
                     .device = device,
                     .error_number = error_number,
                     .status = "",
                     .message = fmt::format("{}: {}", device, what)});
}

Registered register_buffer(ibv_pd* domain, const std::string& device, size_t bytes) {
  Registered made;
  void* memory = nullptr;
  if (posix_memalign(&memory, kPageBytes, bytes) != 0)
    fail(device, "posix_memalign", ENOMEM, "memory");
  made.memory.reset(memory);
  const int access = IBV_ACCESS_LOCAL_WRITE;  // verbs.h mixes it with flags of another type
  made.region.reset(ibv_reg_mr(domain, memory, bytes, access));
  if (!made.region) {
    const int error_number = errno;
    fail(device, "ibv_reg_mr", error_number,
         fmt::format("ibv_reg_mr: {}", std::strerror(error_number)));
  }
  return made;
}

// The device that leads to the next rank, and what every rank does there before it goes on.
template <typename Use>
void use_device(Session& session, Use use) {
  const int peer = (session.place.rank + 1) % session.place.ranks;
  const std::string device = session.rails_to(peer).front();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  const ContextPointer context = open_device(device);
  use(context.get(), device);
  session.progress.connected();
  channel.barrier();
}

void register_all(Session& session, bool each_alone) {
  use_device(session, [&](ibv_context* context, const std::string& device) {
    const Domain domain(ibv_alloc_pd(context));
    if (!domain) fail(device, "ibv_alloc_pd", errno, "no protection domain");
    std::vector<Registered> buffers;
    size_t together = 0;
    const size_t each = kBuffers * static_cast<size_t>(session.place.ranks) * 2;
    for (size_t size = 0; size < kSizes; ++size) {
      for (size_t i = 0; i < each; ++i) {
        together += kPageBytes << size;
        if (each_alone)
          buffers.push_back(register_buffer(domain.get(), device, kPageBytes << size));
      }
    }
    if (!each_alone) buffers.push_back(register_buffer(domain.get(), device, together));
  });
}

}  // namespace

void region_per_buffer(Session& session) { register_all(session, true); }
void one_region(Session& session) { register_all(session, false); }

void queue_pair_per_size(Session& session) {
  use_device(session, [&](ibv_context* context, const std::string& device) {
    const Domain domain(ibv_alloc_pd(context));
    if (!domain) fail(device, "ibv_alloc_pd", errno, "no protection domain");
    const std::unique_ptr<ibv_cq, Closer<ibv_destroy_cq>> completions(
        ibv_create_cq(context, 16, nullptr, nullptr, 0));
    std::vector<std::unique_ptr<ibv_qp, Closer<ibv_destroy_qp>>> queue_pairs;
    ibv_qp_init_attr wanted{};
    wanted.send_cq = wanted.recv_cq = completions.get();
    wanted.qp_type = session.transport(context) == Transport::rc ? IBV_QPT_RC : IBV_QPT_UC;
    wanted.cap = {.max_send_wr = 1,
                  .max_recv_wr = 1,
                  .max_send_sge = 1,
                  .max_recv_sge = 1,
                  .max_inline_data = 0};
    for (int i = 0; i < kQueuePairs; ++i) {
      queue_pairs.emplace_back(ibv_create_qp(domain.get(), &wanted));
      // As in the field: neither the errno nor the limit is told.
      if (!queue_pairs.back()) fail(device, "", 0, "Couldn't create queue pair");
    }
  });
}

void domain_unchecked(Session& session) {
  use_device(session, [&](ibv_context* context, const std::string& device) {
    const Domain domain(ibv_alloc_pd(context));
    register_buffer(domain.get(), device, kPageBytes);
  });
}

}  // namespace railyard::faulty
