// A fabric's life: made, joined, refused, ended, and swept when its owner was killed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>

#include "expect_error.h"
#include "fabric/segment.h"
#include "platform/shared_memory.h"
#include "private_folder.h"
#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

class FabricTest : public testing::Test {
 protected:
  static Fabric make(const std::string& profile = "permissive", int nodes = 2) {
    return Fabric::create(default_cluster(profile, nodes));
  }

  // Another process makes a fabric, tells its name and is killed.
  static std::string name_left_by_a_killed_owner() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
      Fabric fabric = make();
      (void)!write(ends[1], fabric.name().c_str(), fabric.name().size() + 1);
      pause();
      _exit(0);
    }
    char name[64] = {};
    EXPECT_GT(read(ends[0], name, sizeof name), 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(ends[0]);
    close(ends[1]);
    return name;
  }

  test::PrivateFolder folder_;
};

TEST_F(FabricTest, ANewOneHasItsClusterAndNobodyInIt) {
  Fabric fabric = make("permissive", 3);
  Snapshot seen = fabric.snapshot();
  EXPECT_EQ(fabric.node_count(), 3);
  EXPECT_EQ(seen.devices.size(), 3u);
  EXPECT_EQ(seen.ports.size(), 3u);
  EXPECT_EQ(seen.cables.size(), 3u);
  EXPECT_TRUE(seen.processes.empty());
  EXPECT_TRUE(seen.contexts.empty());
  EXPECT_TRUE(seen.queue_pairs.empty());
  EXPECT_TRUE(seen.completion_queues.empty());
  EXPECT_TRUE(seen.faults.empty());
  EXPECT_EQ(seen.in_flight, 0);
  EXPECT_TRUE(fabric.trace(10).empty());
}

TEST_F(FabricTest, TimeBeginsAtItsCreationAndGoesOn) {
  Fabric fabric = make();
  int64_t first = fabric.now_ns();
  EXPECT_GE(first, 0);
  EXPECT_LT(first, 10'000'000'000);
  EXPECT_GE(fabric.now_ns(), first);
}

TEST_F(FabricTest, NodesAndCablesAreFoundByName) {
  Fabric fabric = make("permissive", 2);
  EXPECT_EQ(fabric.node("node1"), 1);
  EXPECT_EQ(fabric.node("node2"), -1);
  EXPECT_EQ(fabric.cable("c2"), 1);
  EXPECT_EQ(fabric.cable("c3"), -1);
}

TEST_F(FabricTest, TheEnvironmentNamesTheFabricAndTheNode) {
  Fabric fabric = make();
  using testing::Pair;
  EXPECT_THAT(fabric.environment(1),
              testing::UnorderedElementsAre(Pair("RAILYARD_FABRIC", fabric.name()),
                                            Pair("RAILYARD_NODE", "1")));
  EXPECT_ERROR(fabric.environment(2), "there is no node 2");
  EXPECT_ERROR(fabric.environment(-1), "there is no node -1");
}

TEST_F(FabricTest, AnotherCanAttachAndSeesWhatTheOwnerDoes) {
  Fabric owner = make("apple-thunderbolt5");
  Fabric visitor = Fabric::attach(owner.name());
  EXPECT_EQ(visitor.name(), owner.name());
  owner.unplug(owner.cable("c1"));
  EXPECT_FALSE(visitor.snapshot().cables.at(0).plugged);
  visitor.plug(visitor.cable("c1"));
  EXPECT_TRUE(owner.snapshot().cables.at(0).plugged);
}

TEST_F(FabricTest, AVisitorLeavesItAsItIs) {
  Fabric owner = make();
  { Fabric visitor = Fabric::attach(owner.name()); }
  EXPECT_NO_THROW(Fabric::attach(owner.name()));
}

TEST_F(FabricTest, ItsNameIsGoneWithItsOwner) {
  std::string name;
  {
    Fabric fabric = make();
    name = fabric.name();
    EXPECT_EQ(folder_.files(), 1);
  }
  EXPECT_EQ(folder_.files(), 0);
  EXPECT_ERROR(Fabric::attach(name), "there is none of that name");
}

TEST_F(FabricTest, AMovedOneIsStillTheOwner) {
  Fabric first = make();
  std::string name = first.name();
  Fabric second = std::move(first);
  EXPECT_NO_THROW(Fabric::attach(name));
  Fabric third = make();
  std::string other = third.name();
  third = std::move(second);
  EXPECT_EQ(third.name(), name);
  EXPECT_NO_THROW(Fabric::attach(name));
}

TEST_F(FabricTest, ManyHaveNamesOfTheirOwn) {
  std::vector<Fabric> fabrics;
  std::set<std::string> names;
  for (int i = 0; i < 8; ++i) names.insert(fabrics.emplace_back(make()).name());
  EXPECT_EQ(names.size(), 8u);
  // PSHMNAMLEN of macOS.
  for (const std::string& name : names) EXPECT_LE(name.size(), 31u) << name;
}

TEST_F(FabricTest, AttachRefusesAnUnknownName) {
  EXPECT_ERROR(Fabric::attach("/railyard.00000000.none"), "there is none of that name");
  EXPECT_ERROR(Fabric::attach(""), "there is none of that name");
}

TEST_F(FabricTest, AttachRefusesAnotherLayout) {
  Fabric fabric = make();
  auto memory = platform::SharedMemory::open(fabric.name());
  auto* header = reinterpret_cast<layout::SegmentHeader*>(memory.data());
  header->version += 1;
  EXPECT_ERROR(Fabric::attach(fabric.name()),
               "layout version " + std::to_string(layout::kVersion + 1) + ", this library has " +
                   std::to_string(layout::kVersion));
}

TEST_F(FabricTest, AttachRefusesWhatIsNoFabric) {
  const std::string name = "/railyard.not-a-fabric";
  for (size_t bytes : {size_t{64}, size_t{1} << 20}) {
    auto memory = platform::SharedMemory::create(name, bytes);
    EXPECT_ERROR(Fabric::attach(name), "is not a fabric");
    platform::SharedMemory::unlink(name);
  }
}

TEST_F(FabricTest, OnlyItsUserCanAttach) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  Fabric fabric = make();
  pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(2);
    try {
      Fabric::attach(fabric.name());
      _exit(1);
    } catch (const Error& error) {
      _exit(strstr(error.what(), "another user") ? 0 : 3);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

#ifdef __linux__
TEST_F(FabricTest, TheSegmentIsPrivateToItsUser) {
  Fabric fabric = make();
  struct stat info;
  ASSERT_EQ(stat(("/dev/shm" + fabric.name()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(info.st_uid, geteuid());
}

TEST_F(FabricTest, ItTakesMemoryOnlyForWhatIsUsed) {
  Fabric fabric = make();
  struct stat info;
  ASSERT_EQ(stat(("/dev/shm" + fabric.name()).c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 8 << 20);
}
#endif

// Segments without a lock file are everybody's to sweep: one of another test may be among those
// counted.
TEST_F(FabricTest, SweepRemovesWhatAKilledOwnerLeft) {
  std::string name = name_left_by_a_killed_owner();
  EXPECT_NO_THROW(Fabric::attach(name));
  EXPECT_GE(sweep(), 1);
  EXPECT_ERROR(Fabric::attach(name), "there is none of that name");
  EXPECT_EQ(folder_.files(), 0);
}

TEST_F(FabricTest, CreatingSweepsFirst) {
  std::string name = name_left_by_a_killed_owner();
  Fabric fabric = make();
  EXPECT_ERROR(Fabric::attach(name), "there is none of that name");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(FabricTest, SweepSparesTheLiving) {
  Fabric fabric = make();
  sweep();
  EXPECT_EQ(folder_.files(), 1);
  EXPECT_NO_THROW(Fabric::attach(fabric.name()));
}

#ifdef RAILYARD_LINUX
// A killed test takes its temporary directory, and with it the lock file, before anybody can sweep.
TEST_F(FabricTest, SweepFindsWhatHasLostItsLockFile) {
  auto without_lock_file = [&] {
    std::string name = name_left_by_a_killed_owner();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (entry.path().filename() == name.substr(1)) std::filesystem::remove(entry.path());
    }
    return name;
  };
  auto age = [](const std::string& name) {
    timespec long_ago{time(nullptr) - 7200, 0}, times[2] = {long_ago, long_ago};
    ASSERT_EQ(utimensat(AT_FDCWD, ("/dev/shm" + name).c_str(), times, 0), 0);
  };
  std::string old = without_lock_file(), young = without_lock_file();
  Fabric living = make();
  EXPECT_NO_THROW(Fabric::attach(old)) << "nothing tells yet that it is old";
  age(old);
  age(living.name());
  sweep();
  // A test beside this one may have found it first, and be about to remove it.
  for (int waits = 0; std::filesystem::exists("/dev/shm" + old) && waits < 10'000; ++waits)
    usleep(1000);
  EXPECT_ERROR(Fabric::attach(old), "there is none of that name");
  EXPECT_NO_THROW(Fabric::attach(young)) << "its creator may not have locked it yet";
  EXPECT_NO_THROW(Fabric::attach(living.name()));
  platform::SharedMemory::unlink(young);
}
#endif

TEST_F(FabricTest, AFolderOpenToOthersIsRefused) {
  { Fabric fabric = make(); }
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    std::filesystem::permissions(entry.path(), std::filesystem::perms::all);
  }
  EXPECT_ERROR(make(), "is not a private folder");
}

TEST_F(FabricTest, AFolderThatCannotBeMadeIsNamed) {
  setenv("TMPDIR", (folder_.path() / "nowhere").c_str(), 1);
  EXPECT_ERROR(make(), "nowhere/railyard-");
}

// Where the system cannot take memory back, a fabric that never uses a block twice would soon have
// all that there is.
TEST_F(FabricTest, BlocksThatWereGivenBackAreTakenAgain) {
  Fabric fabric = make();
  Segment segment = Segment::open(fabric.name());
  constexpr uint64_t kBytes = 4 * layout::kBlockBytes;
  uint64_t kept = segment.allocate(kBytes, 0);
  ASSERT_NE(kept, 0u);
  for (int i = 0; i < 1000; ++i) {
    uint64_t one = segment.allocate(kBytes, 0), other = segment.allocate(kBytes, 0);
    ASSERT_TRUE(one != 0 && other != 0);
    segment.release(one, kBytes);
    segment.release(other, kBytes);
  }
  EXPECT_LE(segment.header().blocks_used.load(), 12u);
}

TEST_F(FabricTest, TheTableOfProcessesHasAnEnd) {
  Fabric fabric = make();
  Segment segment = Segment::open(fabric.name());
  std::set<uint32_t> claimed;
  for (uint32_t i = 0; i < layout::kMaxProcesses; ++i) {
    auto index = segment.claim_process();
    ASSERT_TRUE(index.has_value()) << i;
    claimed.insert(*index);
  }
  EXPECT_EQ(claimed.size(), layout::kMaxProcesses);
  errno = 0;
  EXPECT_FALSE(segment.claim_process().has_value());
  EXPECT_EQ(errno, ENOMEM);
}

TEST_F(FabricTest, AnArmedFaultIsSeenAndHasNotFired) {
  Fabric fabric = make();
  int fault = fabric.arm({.verb = "ibv_create_qp", .error_number = ENOMEM});
  Snapshot seen = fabric.snapshot();
  ASSERT_EQ(seen.faults.size(), 1u);
  EXPECT_EQ(seen.faults[0].id, fault);
  EXPECT_EQ(seen.faults[0].fired, 0u);
  EXPECT_EQ(seen.faults[0].evidence, "");
  fabric.disarm(fault);
  EXPECT_TRUE(fabric.snapshot().faults.empty());
}

TEST_F(FabricTest, FaultsThatMakeNoSenseAreRefused) {
  Fabric fabric = make();
  using Action = VerbFault::Action;
  EXPECT_ERROR(fabric.arm({.verb = "ibv_fly"}), "there is no verb 'ibv_fly'");
  EXPECT_ERROR(fabric.arm({.verb = "ibv_post_send", .nth = 0}), "counted from 1");
  EXPECT_ERROR(fabric.arm({.verb = "ibv_post_send", .times = 0}), "counted from 1");
  EXPECT_ERROR(fabric.arm({.verb = "ibv_post_send", .action = Action::block_until_arrival}),
               "only ibv_post_recv");
  EXPECT_ERROR(fabric.disarm(-1), "no such fault");
  EXPECT_ERROR(fabric.arm({.verb = "ibv_post_send", .node = 2, .error_number = EIO}),
               "there is no node 2");
  EXPECT_TRUE(fabric.snapshot().faults.empty());
}

TEST_F(FabricTest, FaultsHaveAnEndAndDisarmedOnesMakeRoom) {
  Fabric fabric = make();
  const VerbFault fault{.verb = "ibv_post_send", .error_number = EIO};
  std::vector<int> armed;
  for (uint32_t i = 0; i < layout::kMaxFaults; ++i) armed.push_back(fabric.arm(fault));
  EXPECT_ERROR(fabric.arm(fault), "more than 256 faults");
  fabric.disarm(armed[7]);
  EXPECT_EQ(fabric.arm(fault), armed[7]);
}

TEST_F(FabricTest, ReapingAStrangerChangesNothing) {
  Fabric fabric = make();
  fabric.reap(1);
  fabric.reap(-1);
  EXPECT_TRUE(fabric.snapshot().processes.empty());
}

TEST_F(FabricTest, PortsHaveTheNamesOfTheirPlugs) {
  Fabric fabric = make("apple-thunderbolt5");
  EXPECT_EQ(fabric.port_name(0), "node0/rdma_en2");
  EXPECT_EQ(fabric.port_name(1), "node1/rdma_en2");
  EXPECT_ERROR(fabric.port_name(2), "there is no port 2");
}

}  // namespace
}  // namespace railyard::fabric
