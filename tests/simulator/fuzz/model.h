// What a verbs program may expect, as a model: it is told every step and its result, in the one
// order in which the controller let them happen, and every completion as it is polled. It says what
// each of them may be, and what must still come.
//
// The model decides a message when it is posted: against the receives that were posted before it,
// the keys it names and the states of the two queue pairs. That is exact so long as the steps that
// break a connection come when nothing is on its way. Where a break meets traffic ("loose"), both
// outcomes are right on a real device too; then order, integrity and the flushing of all that
// remains are checked until the connection is made anew.
#pragma once

#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "rules.h"
#include "wire.h"

namespace railyard::fuzz {

// A rule is broken; what() says which, what was expected and what was seen.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Model {
 public:
  explicit Model(const Plan& plan);

  // A queue pair that begins its life in RESET, and both ends of a connection in RTS.
  void created(int connection, int side, const EndInfo& info);
  void connected(int connection, uint64_t window_seed);

  bool exists(int connection, int side) const { return end(connection, side).exists; }
  const EndInfo& info(int connection, int side) const { return end(connection, side).info; }

  // Whether a request posted here now would race with a break that is not known to both ends yet.
  bool races(const Step& step) const;
  // Gives up predicting who was faster.
  void loosen(int connection) { links_[size_t(connection)].loose = true; }
  bool loose(int connection) const { return links_[size_t(connection)].loose; }

  // Steps with their results; they throw Violation.
  void posted_send(const Step& step, uint64_t id, int result);
  void posted_receive(const Step& step, uint64_t id, int result);
  void misstepped(const Step& step, int result);
  void failed(int connection, int side, int result);
  void reset(int connection, int side, int result);
  void destroyed(int connection, int side, int result);
  void reregistered(int connection, int side, bool writable);
  // One more cable (or one fewer) between the ends is unplugged.
  void cut(int connection);
  void mended(int connection);
  void swapped() { ++marks_.swaps; }
  bool whole(int connection) const { return links_[size_t(connection)].cuts == 0; }
  void saw_state(int connection, int side, ibv_qp_state state) const;
  void saw_completion(const Completion& completion);
  void saw_window(int connection, int side, uint64_t digest) const;

  // Whether anything is decided that the program has not seen, or may never see.
  bool underway(int connection) const;
  // What must still come; empty: nothing.
  std::string awaited(int connection) const;
  // All has come, and both sides have looked since.
  void settled(int connection);

  // How often each rule was met: what a run has reached.
  struct Marks {
    uint64_t sends = 0, receives = 0, refused = 0, delivered = 0, dropped = 0, writes = 0,
             reads = 0, atomics = 0, errors = 0, flushed = 0, loosened = 0, cuts = 0, shared = 0,
             bound = 0, reregistered = 0, unready = 0, swaps = 0, extended = 0, apart = 0;
  };
  const Marks& marks() const { return marks_; }

 private:
  struct Send {
    uint64_t id;
    Step step;
    uint32_t bytes, units;
    bool signaled;
    bool decided = false;
    bool limbo = false;   // may succeed or never end
    bool barred = false;  // follows a request that failed: must not be carried out
    ibv_wc_status status = IBV_WC_SUCCESS;
    uint64_t digest = 0;  // of what a read or an atomic operation brings
  };
  struct Message {  // that takes a receive
    uint32_t bytes, immediate;
    ibv_wr_opcode opcode;
    uint64_t digest;
    bool barred;
  };
  struct Receive {
    uint64_t id;
    uint32_t bytes, units;
    Key key;
    bool decided = false;
    ibv_wc_status status = IBV_WC_SUCCESS;
    std::optional<Message> message;  // that it must hold
  };
  struct End {
    bool exists = false;
    bool shared = false;   // its receives are a shared queue's, which a break does not flush
    bool writable = true;  // its window, by the peer
    bool residue = false;  // its shared queue holds receives that nobody counts any more
    ibv_qp_state state = IBV_QPS_RESET;
    bool sure = true;      // its error is not only decided but known to it
    bool broken = false;   // a completion in error was seen on the send side
    bool failing = false;  // a request is posted that cannot but fail
    bool revived = false;  // taken from SQE to RTS while nobody could tell whether it was in SQE
    uint32_t silent_units =
        0;  // of unsignaled requests that are done, and that no later completion has freed
    // Whether requests are flushed that are posted now.
    bool flushes() const { return state == IBV_QPS_ERR || state == IBV_QPS_SQE; }
    bool receives_messages() const { return state == IBV_QPS_RTS || state == IBV_QPS_SQE; }
    EndInfo info{};
    std::deque<Send> sends;
    size_t next_send = 0;  // the first that is not decided
    std::deque<Receive> receives;
    size_t next_receive = 0;
    std::vector<Message> messages;  // sent since it was connected
    size_t taken = 0;               // of the peer's messages
    std::vector<uint8_t> window;
  };
  struct Link {
    ibv_qp_type type;
    End ends[2];
    bool linked = false;
    int cuts = 0;  // cables between the ends that are unplugged
    bool loose = false;
    bool settling = false;  // a break is decided that both ends need not know of yet
    int breaker = 0;        // whose request broke it
  };
  struct Place {
    int connection, side;
    bool receive;
  };

  const End& end(int connection, int side) const { return links_[size_t(connection)].ends[side]; }
  End& end(int connection, int side) { return links_[size_t(connection)].ends[side]; }
  uint32_t units_of(uint32_t bytes) const;
  void advance(Link& link, int side);
  bool decide(Link& link, int side, Send& send);
  bool local_fault(const Send& send) const;
  bool remote_fault(const Send& send, bool writable) const;
  bool drops(const Link& link) const;
  bool meet_receive(Link& link, int side, Send& send);
  void carry_out(End& target, Send& send);
  void conclude(End& own, Send& send, ibv_wc_status status);
  void break_end(Link& link, int side);
  void stop_sends(Link& link, int side);
  void tear(Link& link, int side, bool own, bool peers);
  void forget(Link& link, int side);
  void saw_sent(Link& link, int side, const Completion& completion);
  void saw_received(Link& link, int side, const Completion& completion);
  static bool fits(const Message& message, const Completion& completion);

  Rules rules_;
  const Plan& plan_;
  std::vector<Link> links_;
  std::unordered_map<uint64_t, Place> places_;
  std::unordered_set<uint64_t>
      orphans_;  // of a queue pair that was reset or destroyed: seen or not
  Marks marks_;
};

}  // namespace railyard::fuzz
