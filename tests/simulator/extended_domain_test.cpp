// XRC domains: what joins processes of a node (ibv_open_xrcd(3), ibv_open_qp(3); InfiniBand
// specification, annex A14).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "verbs_test.h"

namespace railyard::test {
namespace {

// A file by whose inode domains are known.
class Name {
 public:
  Name() { descriptor_ = mkstemp(path_); }
  Name(const Name&) = delete;
  ~Name() {
    close(descriptor_);
    unlink(path_);
  }
  int descriptor() const { return descriptor_; }
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/railyard-xrcd-XXXXXX";
  int descriptor_;
};

// A program that takes part in a domain; what it makes of it goes before it.
struct Member {
  Program here;
  ibv_xrcd* domain;

  explicit Member(int descriptor, int flags = O_CREAT)
      : domain(open_domain(here, descriptor, flags)) {
    if (!domain) throw std::runtime_error("ibv_open_xrcd");
  }
  ~Member() { EXPECT_EQ(ibv_close_xrcd(domain), 0); }
};

// A shared receive queue of a domain, with memory for its messages.
class Inbox {
 public:
  explicit Inbox(Member& member, ibv_comp_channel* channel = nullptr)
      : queue(member.here, 256, channel), memory(member.here, 64 * 1024, Buffer::kAllAccess) {
    shared_ = create_extended_queue(member.here, member.domain, queue, 64);
    if (!shared_) throw std::runtime_error("ibv_create_srq_ex");
  }
  ~Inbox() { EXPECT_EQ(ibv_destroy_srq(shared_), 0); }
  Inbox(const Inbox&) = delete;

  uint32_t number() const {
    uint32_t number = 0;
    EXPECT_EQ(ibv_get_srq_num(shared_, &number), 0);
    return number;
  }
  // Posts the receive of message `i`, whose place follows from it.
  void receive(uint64_t i) {
    ibv_sge piece = memory.piece(place(i), kBytes);
    ibv_recv_wr wanted{.wr_id = i, .next = nullptr, .sg_list = &piece, .num_sge = 1};
    ibv_recv_wr* bad = nullptr;
    EXPECT_EQ(ibv_post_srq_recv(shared_, &wanted, &bad), 0);
  }
  bool holds(uint64_t i, uint64_t seed) const { return memory.holds(seed, place(i), kBytes); }

  static constexpr size_t kBytes = 256;
  static size_t place(uint64_t i) { return i % 64 * kBytes; }

  Queue queue;
  Buffer memory;

 private:
  ibv_srq* shared_;
};

// Moves a queue pair to RTS, connected with `peer`.
void connect(Program& program, ibv_qp* pair, Address peer) {
  Queue unused(program);
  Pair pattern(program, unused);  // any reliable connection's attributes do
  for (ibv_qp_state state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
    ibv_qp_attr attributes = pattern.attributes(state, peer);
    ASSERT_EQ(ibv_modify_qp(pair, &attributes, pattern.mask(state)), 0) << state;
  }
}

Address address_of(Program& program, uint32_t number) {
  return {number, program.port_attributes().lid, program.gid(program.gid_index())};
}

ibv_qp* create_receiver(Member& member) {
  ibv_qp_init_attr_ex wanted{};
  wanted.qp_type = IBV_QPT_XRC_RECV;
  wanted.comp_mask = IBV_QP_INIT_ATTR_XRCD;
  wanted.xrcd = member.domain;
  return ibv_create_qp_ex(member.here.context, &wanted);
}

ibv_qp* open_receiver(Member& member, uint32_t number, ibv_qp_type type = IBV_QPT_XRC_RECV) {
  ibv_qp_open_attr wanted{};
  wanted.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE;
  wanted.qp_num = number;
  wanted.xrcd = member.domain;
  wanted.qp_type = type;
  return ibv_open_qp(member.here.context, &wanted);
}

ibv_qp_state state_of(ibv_qp* pair) {
  ibv_qp_attr attributes{};
  ibv_qp_init_attr initial{};
  EXPECT_EQ(ibv_query_qp(pair, &attributes, IBV_QP_STATE, &initial), 0);
  return attributes.qp_state;
}

class Sender {
 public:
  Sender() {
    ibv_qp_init_attr_ex wanted{};
    wanted.qp_type = IBV_QPT_XRC_SEND;
    wanted.comp_mask = IBV_QP_INIT_ATTR_PD;
    wanted.pd = here.domain;
    wanted.send_cq = queue.get();
    wanted.cap = {64, 0, 1, 0, 0};
    wanted.sq_sig_all = 1;
    pair_ = ibv_create_qp_ex(here.context, &wanted);
    if (!pair_) throw std::runtime_error("ibv_create_qp_ex");
  }
  ~Sender() { EXPECT_EQ(ibv_destroy_qp(pair_), 0); }
  Sender(const Sender&) = delete;

  ibv_qp* get() const { return pair_; }
  Address address() { return address_of(here, pair_->qp_num); }

  // Posts message `i` for a shared receive queue, or with a place to write to instead.
  void send(uint64_t i, uint32_t to, Window window = {}, size_t bytes = Inbox::kBytes) {
    size_t place = i % 64 * Inbox::kBytes;
    memory.fill(i, place, bytes);
    ibv_sge data = memory.piece(place, bytes);
    ibv_send_wr wanted{}, *bad = nullptr;
    wanted.wr_id = i;
    wanted.sg_list = &data;
    wanted.num_sge = 1;
    wanted.opcode = window.key ? IBV_WR_RDMA_WRITE : IBV_WR_SEND;
    wanted.wr.rdma.remote_addr = window.address;
    wanted.wr.rdma.rkey = window.key;
    wanted.qp_type.xrc.remote_srqn = to;
    EXPECT_EQ(ibv_post_send(pair_, &wanted, &bad), 0);
  }

  Program here;
  Queue queue{here};
  Buffer memory{here, 64 * 1024};

 private:
  ibv_qp* pair_;
};

// Where the programs of a test meet: the sender's address, the receiver's, each inbox's number and
// memory.
enum Place { kSender, kReceiver, kFirst, kSecond, kReady, kDone, kSecondReady, kWindow, kFree };

class ExtendedDomainTest : public VerbsTest {
 protected:
  // Two processes of node 0 and one of node 1, whose queue pair leads to the first.
  void run(const Body& first, const Body& second, const Body& sender) {
    cluster("connectx", 2);
    pid_t programs[] = {start(0, first), start(0, second), start(1, sender)};
    for (pid_t each : programs) EXPECT_EQ(finish(each), 0);
  }

  // Makes the receiver and connects it with the sender.
  ibv_qp* meet_sender(Member& member) {
    ibv_qp* receiver = create_receiver(member);
    EXPECT_NE(receiver, nullptr);
    meeting().tell(kReceiver, address_of(member.here, receiver->qp_num));
    connect(member.here, receiver, meeting().hear<Address>(kSender));
    meeting().signal(kReady);
    return receiver;
  }
  // A program that has the receiver until all is done.
  void hold_receiver() {
    Member member(name_.descriptor());
    ibv_qp* receiver = meet_sender(member);
    meeting().wait(kDone);
    EXPECT_EQ(ibv_destroy_qp(receiver), 0);
  }
  void meet_receiver(Sender& sender) {
    meeting().tell(kSender, sender.address());
    connect(sender.here, sender.get(), meeting().hear<Address>(kReceiver));
    meeting().wait(kReady);
  }

  static bool killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

  Name name_;
};

// -------------------------------------------------------------------------------------------------
// Domains.

TEST_F(ExtendedDomainTest, AFlagSaysWhetherADomainMayBeThereOrMade) {
  cluster("connectx");
  program([&] {
    Program here;
    EXPECT_EQ(open_domain(here, name_.descriptor(), 0), nullptr);
    EXPECT_EQ(errno, EAGAIN);
    ibv_xrcd* made = open_domain(here, name_.descriptor(), O_CREAT | O_EXCL);
    ASSERT_NE(made, nullptr);
    EXPECT_EQ(open_domain(here, name_.descriptor(), O_CREAT | O_EXCL), nullptr);
    EXPECT_EQ(errno, EINVAL);
    // By its inode, whatever descriptor leads there.
    int again = open(name_.path(), O_RDONLY);
    ibv_xrcd* found = open_domain(here, again, 0);
    EXPECT_NE(found, nullptr);
    close(again);
    EXPECT_EQ(ibv_close_xrcd(made), 0);
    EXPECT_EQ(ibv_close_xrcd(found), 0);
    EXPECT_EQ(open_domain(here, name_.descriptor(), 0), nullptr) << "it went with the last";
  });
}

TEST_F(ExtendedDomainTest, WhatIsMissingOrWrongIsRefused) {
  cluster("connectx");
  program([&] {
    Program here;
    EXPECT_EQ(open_domain(here, 12345, O_CREAT), nullptr);
    EXPECT_EQ(errno, EBADF);
    ibv_xrcd_init_attr wanted{.comp_mask = IBV_XRCD_INIT_ATTR_FD, .fd = -1, .oflags = O_CREAT};
    EXPECT_EQ(ibv_open_xrcd(here.context, &wanted), nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_F(ExtendedDomainTest, EachNodeHasItsOwn) {
  cluster("connectx", 2);
  auto body = [&](int me) {
    return [&, me] {
      Member member(name_.descriptor(), O_CREAT | O_EXCL);
      meeting().signal(me);
      meeting().wait(1 - me);
    };
  };
  together({body(0), body(1)});
}

TEST_F(ExtendedDomainTest, MessagesOfNothingFindTheirQueueToo) {
  cluster("connectx", 2);
  together({[&] {
              Member member(name_.descriptor());
              Inbox inbox(member);
              for (uint64_t i : {1, 2}) inbox.receive(i);
              meeting().tell(kFirst, inbox.number());
              ibv_qp* receiver = meet_sender(member);
              for (uint64_t i : {1, 2}) {
                ibv_wc received = inbox.queue.next();
                EXPECT_EQ(received.wr_id, i);
                EXPECT_EQ(received.status, IBV_WC_SUCCESS);
                EXPECT_EQ(received.byte_len, 0u);
              }
              meeting().wait(kDone);
              EXPECT_EQ(ibv_destroy_qp(receiver), 0);
            },
            [&] {
              Sender sender;
              meet_receiver(sender);
              auto inbox = meeting().hear<uint32_t>(kFirst);
              for (uint64_t i : {1, 2}) {
                sender.send(i, inbox, {}, 0);
                EXPECT_EQ(sender.queue.next().status, IBV_WC_SUCCESS);
              }
              meeting().signal(kDone);
            }});
}

TEST_F(ExtendedDomainTest, AnotherProcessFindsItAndItOutlivesItsMaker) {
  cluster("connectx");
  pid_t maker = start(0, [&] {
    Member member(name_.descriptor(), O_CREAT | O_EXCL);
    meeting().signal(kReady);
    pause();
  });
  meeting().wait(kReady);
  pid_t finder = start(0, [&] {
    Member member(name_.descriptor(), 0);
    meeting().signal(kSecondReady);
    meeting().wait(kDone);
    Member again(name_.descriptor(), 0);
  });
  meeting().wait(kSecondReady);
  kill(maker, SIGKILL);
  EXPECT_TRUE(killed(finish(maker)));
  meeting().signal(kDone);
  EXPECT_EQ(finish(finder), 0);
  program([&] {
    Program here;
    EXPECT_EQ(open_domain(here, name_.descriptor(), 0), nullptr) << "both are gone";
    EXPECT_EQ(errno, EAGAIN);
  });
}

TEST_F(ExtendedDomainTest, CannotBeClosedWhileItIsUsed) {
  cluster("connectx");
  program([&] {
    Member member(name_.descriptor());
    {
      Inbox inbox(member);
      EXPECT_EQ(ibv_close_xrcd(member.domain), EBUSY);
    }
    ibv_qp* receiver = create_receiver(member);
    ASSERT_NE(receiver, nullptr);
    EXPECT_EQ(ibv_close_xrcd(member.domain), EBUSY);
    ibv_qp* opened = open_receiver(member, receiver->qp_num);
    ASSERT_NE(opened, nullptr);
    EXPECT_EQ(ibv_destroy_qp(receiver), 0);
    EXPECT_EQ(ibv_close_xrcd(member.domain), EBUSY);
    EXPECT_EQ(ibv_destroy_qp(opened), 0);
  });
}

// -------------------------------------------------------------------------------------------------
// Messages.

TEST_F(ExtendedDomainTest, MessagesEndWhereTheQueueIsThatTheyName) {
  constexpr uint64_t kMessages = 40;  // in turns for the one and for the other
  auto take = [&](Place where) {
    return [&, where] {
      Member member(name_.descriptor());
      {
        Inbox inbox(member);
        ibv_qp* receiver = where == kFirst ? meet_sender(member) : nullptr;
        for (uint64_t i = where == kFirst; i < kMessages; i += 2) inbox.receive(i);
        meeting().tell(where, inbox.number());
        for (uint64_t i = where == kFirst; i < kMessages; i += 2) {
          ibv_wc received = inbox.queue.next();
          EXPECT_EQ(received.status, IBV_WC_SUCCESS);
          EXPECT_EQ(received.wr_id, i);
          EXPECT_EQ(received.qp_num, meeting().hear<Address>(kReceiver).number);
          EXPECT_TRUE(inbox.holds(i, i));
        }
        EXPECT_TRUE(inbox.queue.quiet());
        meeting().wait(kDone);
        if (receiver) {
          EXPECT_EQ(ibv_destroy_qp(receiver), 0);
        }
      }
    };
  };
  run(take(kFirst), take(kSecond), [&] {
    Sender sender;
    meet_receiver(sender);
    uint32_t numbers[] = {meeting().hear<uint32_t>(kSecond), meeting().hear<uint32_t>(kFirst)};
    EXPECT_NE(numbers[0], numbers[1]);
    for (uint64_t i = 0; i < kMessages; ++i) sender.send(i, numbers[i % 2]);
    for (uint64_t i = 0; i < kMessages; ++i) {
      ibv_wc sent = sender.queue.next();
      EXPECT_EQ(sent.status, IBV_WC_SUCCESS);
      EXPECT_EQ(sent.wr_id, i) << "in order, whoever took them";
    }
    meeting().signal(kDone);
  });
}

TEST_F(ExtendedDomainTest, AMessageWakesTheProcessThatItIsFor) {
  run(
      [&] {
        Member member(name_.descriptor());
        ibv_qp* receiver = meet_sender(member);
        meeting().wait(kDone);  // it does nothing at all
        EXPECT_EQ(ibv_destroy_qp(receiver), 0);
      },
      [&] {
        Member member(name_.descriptor());
        ibv_comp_channel* channel = ibv_create_comp_channel(member.here.context);
        {
          Inbox inbox(member, channel);
          inbox.receive(0);
          ASSERT_EQ(ibv_req_notify_cq(inbox.queue.get(), 0), 0);
          meeting().tell(kSecond, inbox.number());
          pollfd descriptor{channel->fd, POLLIN, 0};
          ASSERT_EQ(poll(&descriptor, 1, static_cast<int>(kPatience.count())), 1);
          ibv_cq* queue = nullptr;
          void* user = nullptr;
          ASSERT_EQ(ibv_get_cq_event(channel, &queue, &user), 0);
          ibv_ack_cq_events(queue, 1);
          EXPECT_EQ(inbox.queue.next().status, IBV_WC_SUCCESS);
        }
        EXPECT_EQ(ibv_destroy_comp_channel(channel), 0);
      },
      [&] {
        Sender sender;
        meet_receiver(sender);
        uint32_t number = meeting().hear<uint32_t>(kSecond);
        usleep(20'000);  // so that it sleeps
        sender.send(0, number);
        EXPECT_EQ(sender.queue.next().status, IBV_WC_SUCCESS);
        meeting().signal(kDone);
      });
}

// Annex A14: the protection domain is that of the shared receive queue that the request names.
TEST_F(ExtendedDomainTest, AWriteGoesToTheMemoryOfTheQueuesOwner) {
  run([&] { hold_receiver(); },
      [&] {
        Member member(name_.descriptor());
        Inbox inbox(member);
        meeting().tell(kWindow, inbox.memory.window());
        meeting().tell(kSecond, inbox.number());
        meeting().wait(kDone);
        EXPECT_TRUE(inbox.memory.holds(3, 0, Inbox::kBytes));
        EXPECT_TRUE(inbox.queue.quiet());
      },
      [&] {
        Sender sender;
        meet_receiver(sender);
        sender.send(3, meeting().hear<uint32_t>(kSecond), meeting().hear<Window>(kWindow));
        EXPECT_EQ(sender.queue.next().status, IBV_WC_SUCCESS);
        meeting().signal(kDone);
      });
}

TEST_F(ExtendedDomainTest, AQueueOfAnotherDomainIsNotFound) {
  run([&] { hold_receiver(); },
      [&] {
        Member member(-1);
        Inbox inbox(member);
        inbox.receive(0);
        meeting().tell(kSecond, inbox.number());
        meeting().wait(kDone);
        EXPECT_TRUE(inbox.queue.quiet());
      },
      [&] {
        Sender sender;
        meet_receiver(sender);
        sender.send(0, meeting().hear<uint32_t>(kSecond));
        EXPECT_EQ(sender.queue.next().status, IBV_WC_REM_INV_REQ_ERR);
        meeting().signal(kDone);
      });
}

// -------------------------------------------------------------------------------------------------
// Queue pairs that another has made.

TEST_F(ExtendedDomainTest, OnlyAReceiverOfTheDomainCanBeOpened) {
  cluster("connectx");
  program([&] {
    Member member(name_.descriptor()), other(-1);
    ibv_qp* receiver = create_receiver(member);
    ASSERT_NE(receiver, nullptr);
    LocalPair ordinary(member.here);
    EXPECT_EQ(open_receiver(other, receiver->qp_num), nullptr);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(open_receiver(member, receiver->qp_num, IBV_QPT_XRC_SEND), nullptr);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(open_receiver(member, ordinary.left.number(), IBV_QPT_XRC_RECV), nullptr);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(ibv_destroy_qp(receiver), 0);
  });
}

TEST_F(ExtendedDomainTest, WhoOpenedOneSeesWhatItsMakerDoes) {
  cluster("connectx");
  pid_t maker = start(0, [&] {
    Member member(name_.descriptor());
    ibv_qp* receiver = create_receiver(member);
    meeting().tell(kReceiver, receiver->qp_num);
    meeting().wait(kSecondReady);
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = 1;
    attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    EXPECT_EQ(ibv_modify_qp(receiver, &attributes,
                            IBV_QP_STATE | IBV_QP_PORT | IBV_QP_PKEY_INDEX | IBV_QP_ACCESS_FLAGS),
              0);
    meeting().signal(kReady);
    meeting().wait(kDone);
    EXPECT_EQ(state_of(receiver), IBV_QPS_ERR) << "the other has moved it";
    EXPECT_EQ(ibv_destroy_qp(receiver), 0);
  });
  pid_t opener = start(0, [&] {
    Member member(name_.descriptor());
    ibv_qp* opened = open_receiver(member, meeting().hear<uint32_t>(kReceiver));
    ASSERT_NE(opened, nullptr);
    EXPECT_EQ(state_of(opened), IBV_QPS_RESET);
    meeting().signal(kSecondReady);
    meeting().wait(kReady);
    ibv_qp_attr attributes{};
    ibv_qp_init_attr initial{};
    EXPECT_EQ(ibv_query_qp(opened, &attributes, IBV_QP_STATE, &initial), 0);
    EXPECT_EQ(attributes.qp_state, IBV_QPS_INIT);
    EXPECT_EQ(attributes.qp_access_flags, unsigned{IBV_ACCESS_REMOTE_WRITE});
    attributes.qp_state = IBV_QPS_ERR;
    EXPECT_EQ(ibv_modify_qp(opened, &attributes, IBV_QP_STATE), 0);
    meeting().signal(kDone);
    EXPECT_EQ(ibv_destroy_qp(opened), 0);
  });
  EXPECT_EQ(finish(maker), 0);
  EXPECT_EQ(finish(opener), 0);
  EXPECT_TRUE(fabric().snapshot().queue_pairs.empty());
}

// The maker goes, by its own will or not: the queue pair belongs to whoever has opened it.
class MakerGoesTest : public ExtendedDomainTest {
 protected:
  void check(bool by_force) {
    cluster("connectx", 2);
    pid_t maker = start(0, [&] {
      Member member(name_.descriptor());
      ibv_qp* receiver = meet_sender(member);
      if (by_force) pause();
      meeting().wait(kFree);
      EXPECT_EQ(ibv_destroy_qp(receiver), 0);
    });
    pid_t opener = start(0, [&] {
      Member member(name_.descriptor());
      Inbox inbox(member);
      for (uint64_t i : {0, 1}) inbox.receive(i);
      meeting().wait(kReady);
      ibv_qp* opened = open_receiver(member, meeting().hear<Address>(kReceiver).number);
      ASSERT_NE(opened, nullptr);
      meeting().tell(kSecond, inbox.number());
      for (uint64_t i : {0, 1}) {
        EXPECT_EQ(inbox.queue.next().status, IBV_WC_SUCCESS);
        EXPECT_TRUE(inbox.holds(i, i));
      }
      meeting().wait(kDone);
      EXPECT_EQ(ibv_destroy_qp(opened), 0);
    });
    pid_t sending = start(1, [&] {
      Sender sender;
      meet_receiver(sender);
      uint32_t number = meeting().hear<uint32_t>(kSecond);
      sender.send(0, number);
      EXPECT_EQ(sender.queue.next().status, IBV_WC_SUCCESS);
      meeting().signal(kFree);
      meeting().wait(kSecondReady);
      sender.send(1, number);
      EXPECT_EQ(sender.queue.next().status, IBV_WC_SUCCESS);
      // A queue that nobody has: it is the new owner who says so.
      sender.send(2, 9999);
      EXPECT_EQ(sender.queue.next().status, IBV_WC_REM_INV_REQ_ERR);
      meeting().signal(kDone);
    });
    meeting().wait(kFree);
    if (by_force) kill(maker, SIGKILL);
    int status = finish(maker);
    EXPECT_TRUE(by_force ? killed(status) : status == 0) << status;
    meeting().signal(kSecondReady);
    EXPECT_EQ(finish(opener), 0);
    EXPECT_EQ(finish(sending), 0);
    fabric::Snapshot seen = fabric().snapshot();
    EXPECT_TRUE(seen.queue_pairs.empty());
    EXPECT_TRUE(seen.completion_queues.empty());
  }
};

TEST_F(MakerGoesTest, Destroying) { check(false); }
TEST_F(MakerGoesTest, Killed) { check(true); }

// -------------------------------------------------------------------------------------------------
// Death.

TEST_F(ExtendedDomainTest, AMessageForTheDeadIsRefused) {
  cluster("connectx", 2);
  pid_t maker = start(0, [&] {
    Member member(name_.descriptor());
    ibv_qp* receiver = meet_sender(member);
    meeting().wait(kDone);
    EXPECT_EQ(ibv_destroy_qp(receiver), 0);
  });
  pid_t victim = start(0, [&] {
    Member member(name_.descriptor());
    Inbox inbox(member);
    inbox.receive(0);
    meeting().tell(kSecond, inbox.number());
    pause();
  });
  (void)meeting().hear<uint32_t>(kSecond);
  kill(victim, SIGKILL);
  EXPECT_TRUE(killed(finish(victim)));
  pid_t sending = start(1, [&] {
    Sender sender;
    meet_receiver(sender);
    sender.send(0, meeting().hear<uint32_t>(kSecond));
    EXPECT_EQ(sender.queue.next().status, IBV_WC_REM_INV_REQ_ERR);
    meeting().signal(kDone);
  });
  EXPECT_EQ(finish(maker), 0);
  EXPECT_EQ(finish(sending), 0);
}

// One of three processes of a domain is killed in traffic; the sender gets what is whole or an
// error, the others go on, and nothing is left.
TEST_F(ExtendedDomainTest, NothingIsLeftWhereverOneIsKilled) {
  cluster("connectx", 2);
  std::mt19937 random(20261121);
  constexpr int kKills = 24, kPlaces = 8;
  for (int round = 0; round < kKills; ++round) {
    SCOPED_TRACE(round);
    auto at = [&](int place) { return round * kPlaces + place; };
    auto body = [&](int me) {
      return [&, me] {
        Member member(name_.descriptor());
        Inbox inbox(member);
        ibv_qp* pair = nullptr;
        if (me == 0) {
          pair = create_receiver(member);
          meeting().tell(at(1), address_of(member.here, pair->qp_num));
          connect(member.here, pair, meeting().hear<Address>(at(0)));
          meeting().signal(at(2));
        } else {
          meeting().wait(at(2));
          pair = open_receiver(member, meeting().hear<Address>(at(1)).number);
        }
        for (uint64_t i = 0; i < 32; ++i) inbox.receive(i);
        meeting().tell(at(3 + me), inbox.number());
        while (!meeting().told(at(6))) {
          ibv_wc received{};
          if (ibv_poll_cq(inbox.queue.get(), 1, &received) != 1) continue;
          if (received.status != IBV_WC_SUCCESS) _exit(1);
          inbox.receive(received.wr_id);
        }
        if (pair) ibv_destroy_qp(pair);
      };
    };
    pid_t members[] = {start(0, body(0)), start(0, body(1)), start(0, body(2))};
    pid_t sending = start(1, [&] {
      Sender sender;
      meeting().tell(at(0), sender.address());
      connect(sender.here, sender.get(), meeting().hear<Address>(at(1)));
      uint32_t numbers[3];
      for (int i : {0, 1, 2}) numbers[i] = meeting().hear<uint32_t>(at(3 + i));
      ibv_wc_status status = IBV_WC_SUCCESS;
      for (uint64_t i = 0; status == IBV_WC_SUCCESS; ++i) {
        sender.send(i, numbers[i % 3]);
        status = sender.queue.next().status;
      }
      EXPECT_EQ(status, IBV_WC_REM_INV_REQ_ERR);
      meeting().signal(at(6));
    });
    for (int i : {0, 1, 2}) (void)meeting().hear<uint32_t>(at(3 + i));
    usleep(static_cast<useconds_t>(random() % 5'000));
    int victim = static_cast<int>(random() % 3);
    kill(members[victim], SIGKILL);
    EXPECT_EQ(finish(sending), 0);
    for (int i : {0, 1, 2}) {
      int status = finish(members[i]);
      EXPECT_TRUE(i == victim ? killed(status) : status == 0) << i << ": " << status;
    }
    fabric::Snapshot seen = fabric().snapshot();
    EXPECT_TRUE(seen.queue_pairs.empty());
    EXPECT_TRUE(seen.contexts.empty());
    EXPECT_TRUE(seen.completion_queues.empty());
  }
  program([&] {
    Program here;
    EXPECT_EQ(open_domain(here, name_.descriptor(), 0), nullptr) << "it is gone";
  });
}

}  // namespace
}  // namespace railyard::test
