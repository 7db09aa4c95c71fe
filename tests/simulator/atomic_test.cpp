// Atomic operations and memory windows (InfiniBand specification, 9.4.5, 9.5 and 10.6.7).
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr int kAtomicAccess = Buffer::kAllAccess | IBV_ACCESS_REMOTE_ATOMIC;

class AtomicTest : public VerbsTest {
 protected:
  static PairOptions options() { return {.access = static_cast<unsigned>(kAtomicAccess)}; }

  struct Stage {
    Program here;
    LocalPair pairs{here, options()};
    Buffer result{here, 4096}, there;
    explicit Stage(int access) : there(here, 4096, access) {}

    Window at(size_t offset) const { return {there.window().address + offset, there.window().key}; }
    uint64_t value() const { return word(there); }
    uint64_t before() const { return word(result); }
    ibv_wc_status add(Window to, uint64_t much) {
      return run({.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD, .to = to, .compare_add = much});
    }
    ibv_wc_status swap(Window to, uint64_t expected, uint64_t wanted) {
      return run(
          {.opcode = IBV_WR_ATOMIC_CMP_AND_SWP, .to = to, .compare_add = expected, .swap = wanted});
    }

   private:
    static uint64_t word(const Buffer& buffer) {
      uint64_t value;
      memcpy(&value, buffer.data(), sizeof value);
      return value;
    }
    ibv_wc_status run(const Request& request) {
      EXPECT_EQ(pairs.left.send({result.piece(0, 8)}, request), 0);
      return pairs.left_queue.next().status;
    }
  };

  void with_stage(const std::function<void(Stage&)>& body, int access = kAtomicAccess) {
    cluster("connectx");
    program([&] {
      Stage stage(access);
      body(stage);
    });
  }
};

TEST_F(AtomicTest, FetchAndAddReturnsWhatWasThere) {
  with_stage([](Stage& stage) {
    EXPECT_EQ(stage.add(stage.at(0), 5), IBV_WC_SUCCESS);
    EXPECT_EQ(stage.before(), 0u);
    EXPECT_EQ(stage.value(), 5u);
    EXPECT_EQ(stage.add(stage.at(0), UINT64_MAX), IBV_WC_SUCCESS);
    EXPECT_EQ(stage.before(), 5u);
    EXPECT_EQ(stage.value(), 4u) << "it wraps around";
  });
}

TEST_F(AtomicTest, CompareAndSwapSwapsOnlyWhatItExpects) {
  with_stage([](Stage& stage) {
    EXPECT_EQ(stage.swap(stage.at(0), 0, 7), IBV_WC_SUCCESS);
    EXPECT_EQ(stage.before(), 0u);
    EXPECT_EQ(stage.value(), 7u);
    EXPECT_EQ(stage.swap(stage.at(0), 0, 9), IBV_WC_SUCCESS);
    EXPECT_EQ(stage.before(), 7u);
    EXPECT_EQ(stage.value(), 7u);
  });
}

TEST_F(AtomicTest, AnAddressThatIsNotAlignedIsAnInvalidRequest) {
  with_stage([](Stage& stage) {
    EXPECT_EQ(stage.add(stage.at(4), 1), IBV_WC_REM_INV_REQ_ERR);
    EXPECT_EQ(stage.pairs.left.state(), IBV_QPS_ERR);
  });
}

TEST_F(AtomicTest, WithoutTheRightToItIsARemoteAccessError) {
  with_stage([](Stage& stage) { EXPECT_EQ(stage.add(stage.at(0), 1), IBV_WC_REM_ACCESS_ERR); },
             Buffer::kAllAccess);
}

TEST_F(AtomicTest, UnreliableConnectionsHaveNone) {
  cluster("connectx");
  program([] {
    Program here;
    LocalPair pairs(here, {.type = IBV_QPT_UC});
    Buffer buffer(here, 4096, kAtomicAccess);
    EXPECT_EQ(pairs.left.send({buffer.piece(0, 8)},
                              {.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD, .to = buffer.window()}),
              EINVAL);
  });
}

TEST_F(AtomicTest, NothingIsLostBetweenManyThatAdd) {
  cluster("connectx", 4);
  constexpr uint64_t kEach = 400;
  auto target = [&] {
    Program here;
    Queue queue(here);
    Buffer counter(here, 4096, kAtomicAccess);
    Pair first(here, queue, options()), second(here, queue, options()),
        third(here, queue, options());
    Pair* pairs[] = {&first, &second, &third};
    for (int i = 0; i < 3; ++i) {
      meeting().tell(10 + i, pairs[i]->address());
      pairs[i]->connect(meeting().hear<Address>(20 + i));
      meeting().tell(40 + i, counter.window());
    }
    for (int i = 0; i < 3; ++i) meeting().wait(30 + i);
    uint64_t sum;
    memcpy(&sum, counter.data(), sizeof sum);
    EXPECT_EQ(sum, 3 * kEach);
  };
  auto adder = [&](int i) {
    Program here;
    Queue queue(here);
    Buffer result(here, 4096);
    Pair pair(here, queue, options());
    meeting().tell(20 + i, pair.address());
    pair.connect(meeting().hear<Address>(10 + i));
    auto window = meeting().hear<Window>(40 + i);
    for (uint64_t n = 0; n < kEach; ++n) {
      ASSERT_EQ(pair.send({result.piece(0, 8)},
                          {.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD, .to = window, .compare_add = 1}),
                0);
      ASSERT_EQ(queue.next().status, IBV_WC_SUCCESS);
    }
    meeting().signal(30 + i);
  };
  together({target, [&] { adder(0); }, [&] { adder(1); }, [&] { adder(2); }});
}

// -------------------------------------------------------------------------------------------------
// Memory windows.

class WindowTest : public VerbsTest {
 protected:
  struct Stage {
    Program here;
    LocalPair pairs{here};
    Buffer mine{here, 4096}, there{here, 4096, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND};
    ibv_mw* window = ibv_alloc_mw(here.domain, IBV_MW_TYPE_1);
    Stage() { EXPECT_NE(window, nullptr); }
    ~Stage() { EXPECT_EQ(ibv_dealloc_mw(window), 0); }

    ibv_wc_status bind(size_t offset, size_t bytes, unsigned access) {
      ibv_mw_bind wanted{};
      wanted.send_flags = IBV_SEND_SIGNALED;
      wanted.bind_info = {there.region(), reinterpret_cast<uint64_t>(there.data()) + offset, bytes,
                          access};
      EXPECT_EQ(ibv_bind_mw(pairs.right.get(), window, &wanted), 0);
      ibv_wc bound = pairs.right_queue.next();
      EXPECT_TRUE(bound.status != IBV_WC_SUCCESS || bound.opcode == IBV_WC_BIND_MW);
      return bound.status;
    }
    ibv_wc_status write(size_t offset, size_t bytes) {
      EXPECT_EQ(pairs.left.send(
                    {mine.piece(0, bytes)},
                    {.opcode = IBV_WR_RDMA_WRITE,
                     .to = {reinterpret_cast<uint64_t>(there.data()) + offset, window->rkey}}),
                0);
      return pairs.left_queue.next().status;
    }
  };

  void with_stage(const std::function<void(Stage&)>& body) {
    cluster("connectx");
    program([&] {
      Stage stage;
      body(stage);
    });
  }
};

TEST_F(WindowTest, LetsOthersAtAPartOfARegion) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.bind(1024, 512, IBV_ACCESS_REMOTE_WRITE), IBV_WC_SUCCESS);
    stage.mine.fill(1, 0, 512);
    EXPECT_EQ(stage.write(1024, 512), IBV_WC_SUCCESS);
    EXPECT_TRUE(stage.there.holds(1, 1024, 512));
    EXPECT_EQ(stage.write(1024, 513), IBV_WC_REM_ACCESS_ERR);
  });
}

TEST_F(WindowTest, UnboundLetsNobodyIn) {
  with_stage([](Stage& stage) { EXPECT_EQ(stage.write(0, 8), IBV_WC_REM_ACCESS_ERR); });
}

TEST_F(WindowTest, GivesNoMoreThanItsRights) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.bind(0, 4096, IBV_ACCESS_REMOTE_READ), IBV_WC_SUCCESS);
    EXPECT_EQ(stage.write(0, 8), IBV_WC_REM_ACCESS_ERR);
  });
}

TEST_F(WindowTest, BoundAnewItsOldKeyIsNone) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.bind(0, 4096, IBV_ACCESS_REMOTE_WRITE), IBV_WC_SUCCESS);
    uint32_t old = stage.window->rkey;
    ASSERT_EQ(stage.bind(0, 4096, IBV_ACCESS_REMOTE_WRITE), IBV_WC_SUCCESS);
    EXPECT_NE(stage.window->rkey, old);
    EXPECT_EQ(stage.write(0, 8), IBV_WC_SUCCESS);
    stage.window->rkey = old;
    EXPECT_EQ(stage.write(0, 8), IBV_WC_REM_ACCESS_ERR);
    stage.window->rkey = old + 1;
  });
}

TEST_F(WindowTest, CannotReachBeyondItsRegion) {
  with_stage([](Stage& stage) {
    ibv_mw_bind wanted{};
    wanted.send_flags = IBV_SEND_SIGNALED;
    wanted.bind_info = {stage.there.region(), reinterpret_cast<uint64_t>(stage.there.data()) + 1,
                        4096, IBV_ACCESS_REMOTE_WRITE};
    // Refused at once, or by a completion.
    if (ibv_bind_mw(stage.pairs.right.get(), stage.window, &wanted) == 0) {
      EXPECT_NE(stage.pairs.right_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

}  // namespace
}  // namespace railyard::test
