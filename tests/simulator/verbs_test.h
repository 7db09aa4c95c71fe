// The fixture of tests that drive the library as verbs programs would: a cluster, and programs on
// its nodes, each in a process of its own. A failure inside a program is a failure of the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "private_folder.h"
#include "railyard/fabric.h"
#include "verbs_program.h"

namespace railyard::test {

// Where the programs of a test meet: memory that they share beside the fabric.
class Meeting {
 public:
  static constexpr int kPlaces = 256;

  Meeting();
  Meeting(const Meeting&) = delete;
  ~Meeting();

  // Tells the others a thing of one's own, or waits until another has told it; once a place.
  template <typename T>
  void tell(int place, const T& thing) {
    put(place, &thing, sizeof thing);
  }
  template <typename T>
  T hear(int place) {
    T thing;
    take(place, &thing, sizeof thing);
    return thing;
  }

  // For two programs, 0 and 1: tells one's own and hears the other's.
  template <typename T>
  T exchange(int me, const T& mine) {
    tell(me, mine);
    return hear<T>(1 - me);
  }

  bool told(int place) const;
  void signal(int place) { tell(place, true); }
  void wait(int place) { (void)hear<bool>(place); }

 private:
  struct Shared;
  void put(int place, const void* thing, size_t bytes);
  void take(int place, void* thing, size_t bytes);

  Shared* shared_;
};

class VerbsTest : public testing::Test {
 protected:
  using Body = std::function<void()>;

  // Makes the cluster; the first thing in a test.
  void cluster(const std::string& profile, int nodes = 1, const std::string& overrides = "",
               int rails = 1);
  void cluster(const fabric::ClusterSpec& spec);
  fabric::Fabric& fabric() { return *fabric_; }
  Meeting& meeting() { return meeting_; }

  // Runs a program on node 0 to its end.
  void program(const Body& body) { together({body}); }
  // Runs one program a node, at the same time, to their ends.
  void together(const std::vector<Body>& bodies);

  // Starts a program; it is waited for by finish(), or killed at the end of the test.
  pid_t start(int node, const Body& body);
  // The program's exit status as of waitpid(); kills it and fails the test when it takes too long.
  int finish(pid_t pid);

  // Waits until something is to be seen in the fabric.
  void wait_until(const std::string& what,
                  const std::function<bool(const fabric::Snapshot&)>& seen);

  void TearDown() override;

 private:
  PrivateFolder folder_;
  std::optional<fabric::Fabric> fabric_;
  Meeting meeting_;
  std::vector<pid_t> running_;
};

}  // namespace railyard::test
