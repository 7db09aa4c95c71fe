// railyard-bench-mpi: the same measurements of an MPI library, for `railyard bench --against mpi`.
#include <mpi.h>

#include <cstdio>
#include <functional>
#include <stdexcept>

#include "railyard-bench/cores.h"
#include "railyard-bench/sweep.h"

namespace {

using railyard::bench::Sweep;

MPI_Datatype type_of(const std::string& dtype) {
  if (dtype == "float32") return MPI_FLOAT;
  if (dtype == "float64") return MPI_DOUBLE;
  if (dtype == "int8") return MPI_INT8_T;
  if (dtype == "int16") return MPI_INT16_T;
  if (dtype == "int32") return MPI_INT32_T;
  if (dtype == "int64") return MPI_INT64_T;
  if (dtype == "uint8") return MPI_UINT8_T;
  if (dtype == "uint16") return MPI_UINT16_T;
  if (dtype == "uint32") return MPI_UINT32_T;
  if (dtype == "uint64") return MPI_UINT64_T;
  throw std::invalid_argument("MPI has no " + dtype + "; take float32, float64 or a whole number");
}

class Mpi final : public railyard::bench::Contestant {
 public:
  explicit Mpi(const Sweep& sweep) : type_(type_of(sweep.dtype)), call_(call_of(sweep.operation)) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Type_size(type_, &element_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void barrier() override { MPI_Barrier(MPI_COMM_WORLD); }
  double maximum(double value) override {
    double result = 0;
    MPI_Allreduce(&value, &result, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return result;
  }
  void run(const void* input, void* output, size_t bytes) override {
    call_(input, output, static_cast<int>(bytes / static_cast<size_t>(element_)));
  }

 private:
  using Call = std::function<void(const void*, void*, int)>;

  Call call_of(const std::string& operation) {
    if (operation == "all_sum") return reduction(MPI_SUM);
    if (operation == "all_max") return reduction(MPI_MAX);
    if (operation == "all_min") return reduction(MPI_MIN);
    if (operation == "sum_scatter") {
      return [this](auto* in, auto* out, int count) {
        MPI_Reduce_scatter_block(in, out, count / size_, type_, MPI_SUM, MPI_COMM_WORLD);
      };
    }
    if (operation == "all_gather") {
      return [this](auto* in, auto* out, int count) {
        MPI_Allgather(in, count / size_, type_, out, count / size_, type_, MPI_COMM_WORLD);
      };
    }
    if (operation == "all_to_all") {
      return [this](auto* in, auto* out, int count) {
        MPI_Alltoall(in, count / size_, type_, out, count / size_, type_, MPI_COMM_WORLD);
      };
    }
    if (operation == "broadcast") {
      return
          [this](auto*, auto* out, int count) { MPI_Bcast(out, count, type_, 0, MPI_COMM_WORLD); };
    }
    if (operation == "barrier") {
      return [](auto*, auto*, int) { MPI_Barrier(MPI_COMM_WORLD); };
    }
    if (operation == "send_recv") {
      return [this](auto* in, auto* out, int count) { ping_pong(in, out, count); };
    }
    throw std::invalid_argument("no operation " + operation);
  }

  Call reduction(MPI_Op operation) {
    return [=, this](auto* in, auto* out, int count) {
      MPI_Allreduce(in, out, count, type_, operation, MPI_COMM_WORLD);
    };
  }

  void ping_pong(const void* input, void* output, int count) {
    if (rank_ == 0) {
      MPI_Send(input, count, type_, 1, 0, MPI_COMM_WORLD);
      MPI_Recv(output, count, type_, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (rank_ == 1) {
      MPI_Recv(output, count, type_, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(output, count, type_, 0, 0, MPI_COMM_WORLD);
    }
  }

  const MPI_Datatype type_;
  const Call call_;
  int rank_ = 0, size_ = 1, element_ = 1;
};

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int code = 2;
  try {
    Sweep sweep = Sweep::from_arguments(argc, argv);
    Mpi mpi(sweep);
    railyard::bench::keep_to_core(mpi.rank());
    code = railyard::bench::measure(sweep, mpi) ? 0 : 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "railyard-bench-mpi: %s\n", error.what());
  }
  MPI_Finalize();
  return code;
}
