#include "device/extended_domain.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <mutex>

#include "device/context.h"

namespace railyard::sim {

namespace {

// The number of the domain of a device that belongs to a file; 0: there is none.
uint64_t find_domain(const Segment& segment, uint32_t device, const struct stat& file) {
  for (uint32_t i = 0; i < segment.header().shares_used.load(); ++i) {
    const layout::Share& share = segment.share(i);
    uint32_t owner = share.owner.load(std::memory_order_acquire);
    uint64_t number = share.domain.load(std::memory_order_acquire);
    if (owner == 0 || number == 0 || share.queue_pair != 0 || share.device != device) continue;
    bool same = share.file == static_cast<uint64_t>(file.st_ino) &&
                share.file_system == static_cast<uint64_t>(file.st_dev);
    if (same && segment.alive(owner - 1)) {
      return number;
    }
  }
  return 0;
}

}  // namespace

// What is refused, and with what: the kernel's drivers/infiniband/core/uverbs_cmd.c,
// ib_uverbs_open_xrcd().
ExtendedDomain* ExtendedDomain::open(Context& context, int descriptor, int flags) {
  struct stat file {};
  bool named = descriptor != -1;
  if (named && fstat(descriptor, &file) != 0) return errno = EBADF, nullptr;
  const Segment& segment = context.segment();
  uint32_t process = context.attachment().process(), device = context.device_index();
  // Of two who come at once, one finds what the other has made.
  fabric::RobustLock lock(segment, segment.device(device).lock, process);
  uint64_t number = named ? find_domain(segment, device, file) : 0;
  if (named && number == 0 && !(flags & O_CREAT)) return errno = EAGAIN, nullptr;
  if (number != 0 && (flags & O_EXCL)) return errno = EINVAL, nullptr;
  std::optional<uint32_t> share = segment.claim_share(process);
  if (!share) return nullptr;
  layout::Share& record = segment.share(*share);
  record.context = context.record_index();
  record.device = device;
  record.queue_pair = 0;
  record.file_system = file.st_dev;
  record.file = file.st_ino;
  if (number == 0) number = segment.fresh_connection();
  record.domain.store(number, std::memory_order_release);
  auto* domain = new ExtendedDomain;
  domain->context = context.face();
  domain->number = number;
  domain->share = *share;
  return domain;
}

int ExtendedDomain::close() {
  Context& owner = Context::from(context);
  {
    std::lock_guard guard(owner.lock);
    if (users != 0) return EBUSY;
  }
  owner.segment().give_back_share(share);
  delete this;
  return 0;
}

}  // namespace railyard::sim
