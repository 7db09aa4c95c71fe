// What the tests of Apple's RDMA over Thunderbolt stand on: two Macs, a cable, and the options that
// such a device takes. Rules, their sources and these tests side by side:
// tests/simulator/apple/README.md.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>

#include "verbs_test.h"

namespace railyard::test {

inline constexpr size_t kFrame = 4096;

class AppleTest : public VerbsTest {
 public:
  static PairOptions options() {
    return {.type = IBV_QPT_UC, .sends = 16, .receives = 16, .access = IBV_ACCESS_LOCAL_WRITE};
  }

 protected:
  // Two Macs and a cable. The body runs on the first.
  void on_a_mac(const std::function<void()>& body, const std::string& overrides = "") {
    cluster("apple-thunderbolt5", 2, overrides);
    program(body);
  }
  // An errno is left where it fails.
  static ibv_qp* create(Program& here, Queue& queue, ibv_qp_type type = IBV_QPT_UC,
                        ibv_qp_cap cap = {16, 16, 1, 1, 0}) {
    ibv_qp_init_attr wanted{};
    wanted.send_cq = wanted.recv_cq = queue.get();
    wanted.qp_type = type;
    wanted.cap = cap;
    errno = 0;
    return ibv_create_qp(here.domain, &wanted);
  }
};

}  // namespace railyard::test
