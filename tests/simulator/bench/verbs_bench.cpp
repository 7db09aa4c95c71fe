// What the verbs cost in one process, without a second core to wait for: a queue pair that talks to
// another one of the same program. Run it by hand; it is no test.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "railyard/fabric.h"
#include "verbs_program.h"

namespace railyard::test {
namespace {

// One cluster for all: the library attaches a process once.
Program& program() {
  static fabric::Fabric cluster = [] {
    fabric::Fabric made = fabric::Fabric::create(fabric::default_cluster("connectx", 1));
    for (const auto& [name, value] : made.environment(0)) setenv(name.c_str(), value.c_str(), 1);
    return made;
  }();
  static Program made;
  return made;
}

int take(ibv_cq* queue) {
  ibv_wc completion;
  return ibv_poll_cq(queue, 1, &completion);
}

// One message: its receive posted, sent, received, and its send completed.
void message(benchmark::State& state, ibv_qp_type type) {
  auto bytes = static_cast<size_t>(state.range(0));
  LocalPair pairs(program(), {.type = type, .inline_bytes = 64});
  Buffer from(program(), bytes), to(program(), bytes);
  ibv_sge source = from.all(), target = to.all();
  ibv_send_wr send{}, *bad_send;
  send.sg_list = &source;
  send.num_sge = 1;
  send.opcode = IBV_WR_SEND;
  send.send_flags = IBV_SEND_SIGNALED;
  if (bytes <= 64) send.send_flags |= IBV_SEND_INLINE;
  ibv_recv_wr receive{}, *bad_receive;
  receive.sg_list = &target;
  receive.num_sge = 1;
  for (auto _ : state) {
    ibv_post_recv(pairs.right.get(), &receive, &bad_receive);
    ibv_post_send(pairs.left.get(), &send, &bad_send);
    while (take(pairs.right_queue.get()) == 0) {
    }
    while (take(pairs.left_queue.get()) == 0) {
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}
BENCHMARK_CAPTURE(message, RC, IBV_QPT_RC)->Arg(8)->Arg(4096)->Arg(1 << 20);
BENCHMARK_CAPTURE(message, UC, IBV_QPT_UC)->Arg(8)->Arg(4096)->Arg(1 << 20);

void copy(benchmark::State& state) {
  auto bytes = static_cast<size_t>(state.range(0));
  std::vector<char> from(bytes, 1), to(bytes, 2);
  for (auto _ : state) {
    memcpy(to.data(), from.data(), bytes);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}
BENCHMARK(copy)->Arg(4096)->Arg(1 << 20);

void empty_poll(benchmark::State& state) {
  LocalPair pairs(program());
  for (auto _ : state) take(pairs.right_queue.get());
}
BENCHMARK(empty_poll);

void register_memory(benchmark::State& state) {
  auto bytes = static_cast<size_t>(state.range(0));
  std::unique_ptr<char[]> memory(new char[bytes]);  // its pages untouched
  for (auto _ : state) {
    ibv_dereg_mr(ibv_reg_mr(program().domain, memory.get(), bytes, IBV_ACCESS_LOCAL_WRITE));
  }
}
BENCHMARK(register_memory)->Arg(4096)->Arg(1 << 30);

}  // namespace
}  // namespace railyard::test

BENCHMARK_MAIN();
