// What programs reach through the tables of extended queue pairs (ibv_wr_*) and extended completion
// queues (ibv_start_poll). Rules that can fail or drop a request take hold when a batch is handed
// over: until then it is kept here, and the device sees nothing of it.
#pragma once

#include <infiniband/verbs.h>

#include <map>
#include <memory>
#include <mutex>

namespace railyard::passthrough {

// Puts our functions in front of an object's own, or no longer. Those that have none are left
// alone.
void take_sends(ibv_qp* pair, uint64_t operations);
void give_back_sends(const ibv_qp* pair);
void take_polls(ibv_cq_ex* queue);
void give_back_polls(const ibv_cq* queue);

// What is ours of each object that has our functions. Thread-safe.
template <typename Face, typename Ours>
class Fronts {
 public:
  Ours& add(const Face* face) {
    std::lock_guard lock(mutex_);
    return *(all_[face] = std::make_unique<Ours>());
  }
  // Only of objects that were added.
  Ours& of(const Face* face) {
    std::lock_guard lock(mutex_);
    return *all_.at(face);
  }
  void remove(const void* face) {
    std::lock_guard lock(mutex_);
    all_.erase(face);
  }

 private:
  std::mutex mutex_;
  std::map<const void*, std::unique_ptr<Ours>> all_;
};

}  // namespace railyard::passthrough
