// railyard-kill-test: two ranks exchange messages, one of them is killed at a random moment; the
// other must get what its transport says, and the fabric must be empty afterwards. Many times.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>

#include "../private_folder.h"
#include "../verbs_program.h"
#include "fabric/segment.h"
#include "railyard/fabric.h"

namespace railyard::test {
namespace {

constexpr size_t kSlotBytes = 200'000;
constexpr uint64_t kSends = 8, kReceives = 16;
constexpr int kNeverMet = 3;
// A survivor that had no core is not one that got nothing.
constexpr int kFairLooks = 10'000;

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Kind {
  const char* name;
  const char* profile;
  ibv_qp_type type;
  bool ordered;  // no message is lost while both live
};
constexpr Kind kKinds[] = {{"RC", "connectx", IBV_QPT_RC, true},
                           {"UC that drops", "connectx", IBV_QPT_UC, false},
                           {"UC that holds", "permissive", IBV_QPT_UC, true},
                           {"UC of Apple", "apple-thunderbolt5", IBV_QPT_UC, true}};

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A rank that sends and receives until it is told of its peer's death, or killed.
class Rank {
 public:
  explicit Rank(const Kind& kind) : kind_(kind) {}

  // `peer` leads to the other rank, `news` to the test, which tells the moment of the kill.
  int live(int peer, int news) {
    Program here;
    Queue sends(here), receives(here);
    PairOptions options{.type = kind_.type, .sends = 64, .receives = 64, .retries = 1};
    bool apple = strcmp(kind_.profile, "apple-thunderbolt5") == 0;
    if (apple) {
      options.access = IBV_ACCESS_LOCAL_WRITE;
      options.sends = options.receives = 2048;  // frames
    }
    Pair pair(here, sends, receives, options);
    Buffer outbox(here, kSends * kSlotBytes), inbox(here, kReceives * kSlotBytes);
    Address own = pair.address(), other{};
    if (send(peer, &own, sizeof own, MSG_NOSIGNAL) != sizeof own) return kNeverMet;
    if (recv(peer, &other, sizeof other, MSG_WAITALL) != sizeof other) return kNeverMet;
    pair.connect(other);
    apple_ = apple;
    for (uint64_t i = 0; i < kReceives; ++i) post_receive(pair, inbox);
    char ready = 1;
    if (send(peer, &ready, 1, MSG_NOSIGNAL) != 1 || recv(peer, &ready, 1, MSG_WAITALL) != 1)
      return kNeverMet;
    fcntl(news, F_SETFL, O_NONBLOCK);
    while (!told(news)) {
      if (first_error_ns_ == 0 && posted_ - sent_ < kSends) post_send(pair, outbox);
      look(pair, sends, receives, inbox);
    }
    if (first_error_ns_ != 0 && first_error_ns_ < killed_ns_)
      throw Failure("an error before the kill");
    finish(pair, sends, receives, outbox, inbox);
    return 0;
  }

 private:
  uint32_t size_of(uint64_t sequence) const {
    constexpr uint32_t kSizes[] = {16, 512, 4096, 33'000, 70'000, 200'000};
    return apple_ ? 4096 : kSizes[(sequence * 2654435761u >> 7) % 6];
  }

  void post_receive(Pair& pair, Buffer& inbox) {
    size_t slot = taken_++ % kReceives;
    int result = pair.receive({inbox.piece(slot * kSlotBytes, apple_ ? 4096 : kSlotBytes)}, slot);
    if (result != 0) throw Failure(fmt::format("ibv_post_recv returned {}", result));
  }

  // A message begins and ends with its number: a torn one shows.
  void post_send(Pair& pair, Buffer& outbox) {
    uint64_t slot = posted_ % kSends;
    uint32_t bytes = size_of(posted_);
    uint8_t* message = outbox.data() + slot * kSlotBytes;
    memcpy(message, &posted_, sizeof posted_);
    memcpy(message + bytes - sizeof posted_, &posted_, sizeof posted_);
    int result = pair.send({outbox.piece(slot * kSlotBytes, bytes)}, {.id = posted_});
    if (result != 0) throw Failure(fmt::format("ibv_post_send returned {}", result));
    ++posted_;
  }

  bool told(int news) { return read(news, &killed_ns_, sizeof killed_ns_) == sizeof killed_ns_; }

  bool look(Pair& pair, Queue& sends, Queue& receives, Buffer& inbox) {
    ibv_wc wc[8];
    int count = ibv_poll_cq(sends.get(), 8, wc);
    int found = count;
    for (int i = 0; i < count; ++i) {
      if (wc[i].wr_id != sent_++) throw Failure("sends complete out of order");
      if (wc[i].status == IBV_WC_SUCCESS && first_error_ns_ == 0) continue;
      bool first = first_error_ns_ == 0;
      if (first) first_error_ns_ = now_ns();
      if (kind_.type == IBV_QPT_UC) throw Failure("an unreliable send failed");
      if (wc[i].status != (first ? IBV_WC_RETRY_EXC_ERR : IBV_WC_WR_FLUSH_ERR)) {
        throw Failure(fmt::format("a send completed with '{}'", ibv_wc_status_str(wc[i].status)));
      }
    }
    count = ibv_poll_cq(receives.get(), 8, wc);
    found += count;
    for (int i = 0; i < count; ++i) {
      if (wc[i].status == IBV_WC_WR_FLUSH_ERR && kind_.type == IBV_QPT_RC) {
        ++flushed_;
        continue;
      }
      if (wc[i].status != IBV_WC_SUCCESS) {
        throw Failure(
            fmt::format("a receive completed with '{}'", ibv_wc_status_str(wc[i].status)));
      }
      check(inbox.data() + wc[i].wr_id * kSlotBytes, wc[i].byte_len);
      post_receive(pair, inbox);
    }
    if (found == 0) sched_yield();
    return found != 0;
  }

  void check(const uint8_t* message, uint32_t bytes) {
    uint64_t first, last;
    memcpy(&first, message, sizeof first);
    memcpy(&last, message + bytes - sizeof last, sizeof last);
    bool next = kind_.ordered ? first == expected_ : first >= expected_;
    if (first != last || !next || bytes != size_of(first)) {
      throw Failure(fmt::format("message {} / {} of {} bytes where {} was due", first, last, bytes,
                                expected_));
    }
    expected_ = first + 1;
  }

  void finish(Pair& pair, Queue& sends, Queue& receives, Buffer& outbox, Buffer& inbox) {
    auto deadline = now_ns() + 8'000'000'000;
    if (posted_ - sent_ < kSends && first_error_ns_ == 0) post_send(pair, outbox);
    bool reliable = kind_.type == IBV_QPT_RC, holds = !reliable && kind_.ordered;
    auto pending = [&] {
      if (reliable) return sent_ != posted_ || flushed_ != kReceives;
      return !holds && sent_ != posted_;
    };
    for (int looks = 0; pending(); ++looks) {
      if (now_ns() > deadline && looks > kFairLooks)
        throw Failure(fmt::format("{} of {} sends complete, {} of {} receives flushed, in {} looks",
                                  sent_, posted_, flushed_, kReceives, looks));
      // All that was on its way may have been answered before the end.
      if (reliable && first_error_ns_ == 0 && posted_ == sent_) post_send(pair, outbox);
      look(pair, sends, receives, inbox);
    }
    for (int calm = 0; calm < 20;) calm = look(pair, sends, receives, inbox) ? 0 : calm + 1;
    ibv_qp_state expected = reliable ? IBV_QPS_ERR : IBV_QPS_RTS;
    if (pair.state() != expected)
      throw Failure(fmt::format("it is in state {}", int(pair.state())));
  }

  const Kind& kind_;
  bool apple_ = false;
  uint64_t posted_ = 0, sent_ = 0, taken_ = 0, expected_ = 0, flushed_ = 0;
  int64_t first_error_ns_ = 0, killed_ns_ = 0;
};

struct Child {
  pid_t pid;
  int news;
};

Child start(const fabric::Fabric& fabric, int node, const Kind& kind, int peer, int others) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Failure("pipe");
  fflush(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    close(others);
    close(ends[1]);
    for (const auto& [name, value] : fabric.environment(node))
      setenv(name.c_str(), value.c_str(), 1);
    int status = 1;
    try {
      status = Rank(kind).live(peer, ends[0]);
    } catch (const std::exception& error) {
      fmt::print(stderr, "the rank on node {}: {}\n", node, error.what());
    }
    _exit(status);
  }
  close(ends[0]);
  return {pid, ends[1]};
}

uint32_t owned_blocks(const fabric::Segment& segment) {
  auto* owners = reinterpret_cast<fabric::layout::Shared<uint32_t>*>(
      segment.bytes_at(segment.header().block_owners));
  uint32_t owned = 0;
  for (uint32_t i = 0; i < segment.header().blocks_used.load(); ++i) owned += owners[i].load() != 0;
  return owned;
}

struct Tally {
  int met = 0, early = 0;
};

// Kills `kills` ranks in one fabric.
Tally kill_in(const Kind& kind, int kills, uint64_t seed) {
  auto fabric = fabric::Fabric::create(fabric::default_cluster(kind.profile, 2));
  auto segment = fabric::Segment::open(fabric.name());
  uint32_t owned_before = owned_blocks(segment);
  std::mt19937_64 random(seed);
  Tally tally;
  for (int i = 0; i < kills; ++i) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw Failure("socketpair");
    Child ranks[2] = {start(fabric, 0, kind, ends[0], ends[1]),
                      start(fabric, 1, kind, ends[1], ends[0])};
    close(ends[0]);
    close(ends[1]);
    usleep(static_cast<useconds_t>(random() % 25'000));
    int victim = static_cast<int>(random() % 2);
    int64_t killed_ns = now_ns();
    kill(ranks[victim].pid, SIGKILL);
    int status = 0;
    waitpid(ranks[victim].pid, &status, 0);
    fabric.reap(ranks[victim].pid);
    bool lived = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!lived)
      throw Failure(fmt::format("{}: kill {}: the victim ended before, with status {}", kind.name,
                                i, status));
    Child& survivor = ranks[1 - victim];
    if (write(survivor.news, &killed_ns, sizeof killed_ns) < 0 && errno != EPIPE)
      throw Failure("write");
    auto deadline = now_ns() + 60'000'000'000;
    while (waitpid(survivor.pid, &status, WNOHANG) == 0) {
      if (now_ns() > deadline) {
        kill(survivor.pid, SIGKILL);
        waitpid(survivor.pid, &status, 0);
        throw Failure(fmt::format("{}: kill {}: the survivor did not end", kind.name, i));
      }
      usleep(200);
    }
    fabric.reap(survivor.pid);
    for (Child& rank : ranks) close(rank.news);
    bool early = WIFEXITED(status) && WEXITSTATUS(status) == kNeverMet;
    if (status != 0 && !early)
      throw Failure(fmt::format("{}: kill {}: the survivor failed", kind.name, i));
    ++(early ? tally.early : tally.met);
    fabric::Snapshot seen = fabric.snapshot();
    if (!seen.queue_pairs.empty() || !seen.contexts.empty() || !seen.completion_queues.empty()) {
      throw Failure(fmt::format("{}: kill {}: records are left in the fabric", kind.name, i));
    }
    if (uint32_t owned = owned_blocks(segment); owned != owned_before) {
      throw Failure(
          fmt::format("{}: kill {}: {} blocks are left", kind.name, i, owned - owned_before));
    }
  }
  return tally;
}

int run(int kills, uint64_t seed) {
  signal(SIGPIPE, SIG_IGN);
  PrivateFolder folder;
  auto begin = now_ns();
  int each = (kills + 3) / 4, met = 0, early = 0;
  for (const Kind& kind : kKinds) {
    Tally tally = kill_in(kind, each, seed++);
    fmt::print("{}: {} killed, {} survivors got what they should, {} peers had not met\n",
               kind.name, each, tally.met, tally.early);
    met += tally.met;
    early += tally.early;
  }
  fmt::print("{} kills in {:.1f} s: {} in traffic, {} before it; nothing left behind\n", 4 * each,
             static_cast<double>(now_ns() - begin) * 1e-9, met, early);
  if (folder.files() != 0) throw Failure("files are left behind");
  return 0;
}

}  // namespace
}  // namespace railyard::test

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  int kills = 60;
  uint64_t seed = 1;
  CLI::App app("Ranks are killed at random moments");
  app.add_option("--kills", kills, "how many");
  app.add_option("--seed", seed, "of the moments");
  CLI11_PARSE(app, argc, argv);
  try {
    return railyard::test::run(kills, seed);
  } catch (const std::exception& error) {
    fmt::print(stderr, "railyard-kill-test --kills {} --seed {}: {}\n", kills, seed, error.what());
    return 1;
  }
}
