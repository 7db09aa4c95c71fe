// A group of ranks that compute together. One process is one rank.
//
// Thread-safety: calls from several threads are serialised in some order, which must be the same on
// every rank; abort() may be called at any time. Calls block, busily, until they are done or the
// configuration's deadline has passed.
//
// Errors: every call throws railyard::Error. After an error the group is unusable: later calls
// throw `group-unusable` with the first error in their text. Every rank learns of the first
// failure, and its own error has the same code. Destroying a group always returns, within about a
// second.
//
// Results are the same bits on every rank, and the same from run to run.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "railyard/config.h"
#include "railyard/dtype.h"
#include "railyard/error.h"

namespace railyard {

class Group {
 public:
  // Opens the devices and connects to all other ranks; blocks until all are there or
  // `config.bootstrap_deadline` has passed (then the error names who is missing).
  static std::unique_ptr<Group> create(const Config& config);

  virtual ~Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // "mesh", "ring", "tcp", "tcp-ring" or "local".
  virtual const std::string& backend() const = 0;
  // A sentence: why this backend ("JACCL_RING is set and every rank has rails to its neighbours").
  virtual const std::string& backend_reason() const = 0;

  // "mesh: every pair of ranks has a device to each other"
  std::string description() const { return backend() + ": " + backend_reason(); }

  // As MPI_Comm_split: the ranks that give the same colour make a group, in the order of their
  // keys, and of their ranks where keys are equal. Every rank of this group must call it. Null for
  // kUndefinedColor and every other negative colour. Blocks until the sub-group is connected.
  //
  // Sub-groups of a group over RDMA share its devices while these have room for the sub-group's
  // queue pairs and memory on all its ranks, else they are over TCP; description() says which.
  // Group and sub-groups may be used at the same time and be destroyed in any order.
  static constexpr int kUndefinedColor = -1;
  virtual std::unique_ptr<Group> split(int color, int key) = 0;

  // output[i] = sum over all ranks of input[i]; for bool: their disjunction. `bytes` is a multiple
  // of the element size and the same on every rank. In place (input == output) is allowed, any
  // other overlap is not. Sums of float16 and bfloat16 are rounded after each addition.
  virtual void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) = 0;

  // As all_sum, with the largest or the smallest of input[i], bit for bit one of them. A NaN wins
  // over every number. Complex numbers are compared by their real, then by their imaginary part.
  virtual void all_max(const void* input, void* output, size_t bytes, Dtype dtype) = 0;
  virtual void all_min(const void* input, void* output, size_t bytes, Dtype dtype) = 0;

  // `input` holds size() chunks of `bytes` bytes, `output` gets the sum of all ranks' chunk rank().
  // `output` may be one of the chunks of `input`.
  virtual void sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) = 0;

  // `output` gets size() chunks of `bytes` bytes: the `input` of each rank, in the order of ranks.
  // `input` may be this rank's chunk of `output`.
  virtual void all_gather(const void* input, void* output, size_t bytes) = 0;

  // `data` of the root go to all other ranks.
  virtual void broadcast(void* data, size_t bytes, int root) = 0;

  // Both hold size() chunks of `bytes` bytes: chunk r of `input` goes to rank r, and chunk r of
  // `output` comes from it. `output` may be `input`.
  virtual void all_to_all(const void* input, void* output, size_t bytes) = 0;

  // Returns when every rank has called it.
  virtual void barrier() = 0;

  // Point to point, in order between two ranks; the sizes on both sides must be the same. send()
  // returns when the buffer may be used again, which may be before the peer has received. A mesh
  // reaches any rank, a ring only its two neighbours (`configuration` otherwise).
  virtual void send(const void* data, size_t bytes, int destination) = 0;
  virtual void recv(void* data, size_t bytes, int source) = 0;

  // Ends the operation in progress and every later one with `aborted`, on all ranks. From any
  // thread; does not block.
  virtual void abort() = 0;

 protected:
  Group() = default;
};

// As JACCL's init: the group that the environment describes. With nothing in the environment: an
// error when `strict`, else null.
std::unique_ptr<Group> init(bool strict = false);

}  // namespace railyard
