// Work requests between ibv_wr_start() and ibv_wr_complete().
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <vector>

namespace railyard::sim {

struct BuiltRequest {
  ibv_send_wr request{};
  std::vector<ibv_sge> pieces;
  std::vector<std::byte> inline_data;  // copied when it is set: the program may use its memory again
};

// Keeps what it has allocated from one batch to the next. A queue pair's batch is built by one thread at
// a time (ibv_wr_post(3)).
class RequestBuilder {
 public:
  void clear() { used_ = 0, error_ = 0; }
  bool empty() const { return used_ == 0; }

  BuiltRequest& next() {
    if (used_ == requests_.size()) requests_.emplace_back();
    BuiltRequest& built = requests_[used_++];
    built.pieces.clear();
    return built;
  }
  BuiltRequest& last() { return requests_[used_ - 1]; }

  void set_inline(const ibv_data_buf* pieces, size_t count);

  void fail(int error) { error_ = error; }
  int error() const { return error_; }

  // The batch as a list for ibv_post_send(); valid until the next clear().
  ibv_send_wr* chain();

 private:
  std::vector<BuiltRequest> requests_;
  size_t used_ = 0;
  int error_ = 0;
};

}  // namespace railyard::sim
