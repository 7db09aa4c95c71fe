// Work requests between ibv_wr_start() and ibv_wr_complete().
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <vector>

namespace railyard::sim {

struct BuiltRequest {
  ibv_send_wr request{};
  ibv_sge piece{};              // the only one, as nearly always;
  std::vector<ibv_sge> pieces;  // or there are several, or none
  // Copied when it is set: the program may use its memory again.
  std::vector<std::byte> inline_data;

  void set_piece(const ibv_sge& only) {
    piece = only;
    request.num_sge = 1;
  }
  void set_pieces(const ibv_sge* first, size_t count) {
    pieces.assign(first, first + count);
    request.num_sge = static_cast<int>(count);
    if (count == 1) piece = *first;
  }
};

// Keeps what it has allocated from one batch to the next. A queue pair's batch is built by one thread at
// a time (ibv_wr_post(3)).
class RequestBuilder {
 public:
  void clear() { used_ = 0, error_ = 0; }
  bool empty() const { return used_ == 0; }

  BuiltRequest& next() {
    if (used_ == requests_.size()) requests_.emplace_back();
    return requests_[used_++];
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
