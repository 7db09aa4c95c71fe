// A queue pair: the sender's half publishes messages in a ring of shared memory, the receiver's
// half settles the messages in its peer's ring. See the simulator's README for the way of a
// message.
#pragma once

#include <infiniband/verbs.h>

#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "device/attachment.h"
#include "device/completion_queue.h"
#include "device/patience.h"
#include "device/receive_queue.h"
#include "device/request_builder.h"
#include "device/staging.h"
#include "device/transition.h"
#include "fabric/profile.h"

namespace railyard::sim {

class Context;
class Pieces;
struct ExtendedDomain;
class SharedReceiveQueue;
struct Passage;
struct Region;

// The port of the fabric that an address names, or layout::kNowhere.
int32_t port_of_address(const Segment& segment, const ibv_ah_attr& address);

// The type that a queue pair of this type talks to.
uint32_t peer_type_of(uint32_t type);

// Guarded by its context's lock. Connected types (RC, UC, XRC) talk to one peer over rings;
// datagram queue pairs (UD) put messages into the inboxes of their receivers.
class QueuePair : public ibv_qp_ex {
 public:
  QueuePair(Context& owner, uint32_t number, const ibv_qp_init_attr_ex& wanted,
            const ibv_qp_cap& granted);
  ~QueuePair();
  QueuePair(const QueuePair&) = delete;
  QueuePair& operator=(const QueuePair&) = delete;

  // Takes the shared memory it needs; 0 or an errno.
  int allocate();

  // XRC receivers, in shared_receiver.cpp. Each process that has to do with one has its own of
  // these, over one record: who made it or opened it has a share in it, others merely see to what
  // is theirs of its messages. 0 or an errno.
  int share(ExtendedDomain& domain, bool made_it);
  void visit(uint64_t domain);
  // Whether it counts against this context's limits: it is one of its own, or was left to it.
  bool owned() const;

  // Whether a queue pair's type and its device have an operation; 0 or an errno.
  static int offered(const fabric::Profile& profile, ibv_qp_type type, ibv_wr_opcode opcode);

  static QueuePair* from(ibv_qp* pair) { return reinterpret_cast<QueuePair*>(pair); }
  Context& owner() { return owner_; }
  uint32_t number() const { return number_; }
  // An XRC queue pair has one or none of the two.
  CompletionQueue* send_queue() const { return CompletionQueue::from(qp_base.send_cq); }
  CompletionQueue* receive_queue() const { return CompletionQueue::from(qp_base.recv_cq); }

  // state.cpp
  int modify(const ibv_qp_attr& attributes, int mask);
  void query(ibv_qp_attr& attributes, ibv_qp_init_attr& initial);
  void update_attention();
  // Flushes all that is outstanding; tells the program by an event if it did not ask for it.
  void enter_error(bool tell_program);

  // multicast membership, in datagram.cpp; 0 or an errno
  int join_group(const ibv_gid& group);
  int leave_group(const ibv_gid& group);

  // sender.cpp. post_send() returns 0 or an errno, with the offending request in `bad`.
  int post_send(ibv_send_wr* requests, ibv_send_wr** bad);
  // 0 if all of these can be posted, else the errno of the first that cannot.
  int check_all(const ibv_send_wr* requests);
  // Writes the completions that are due; whether there were any. `check_peer`: looks also whether
  // anybody is there to answer, which takes longer and is soon enough now and then.
  bool progress_sends(bool check_peer = false) {
    return sends_outstanding() && (check_peer || sends_matter()) && complete_sends(check_peer);
  }
  bool holding() const { return holding_; }
  bool sends_outstanding() const { return posted_ != completed_; }
  // peer_watch.cpp. Counts a peer out that has died and that nobody has waited for: what needs its
  // process would wait for ever.
  void look_for_death();
  // For so long as arrived messages of a finished sender may lie unread in its ring, a peer that is
  // alive is given time to read them. Without the lock.
  void linger();

  // receiver.cpp
  int post_receive(ibv_recv_wr* requests, ibv_recv_wr** bad);
  // Settles what has arrived; whether anything had.
  bool progress_receives() {
    return shared_receiver() || !nothing_arrived() ? settle_what_arrived() : false;
  }
  // Whether a message has arrived that no posted receive waits for.
  bool arrival_without_receive();
  // Whether the peer's ring is read and no message that is on it is unsettled.
  bool nothing_arrived() const {
    return adopted_ != 0 && !arrived(next_slot()) &&
           peer_record().connection.load(std::memory_order_relaxed) == adopted_;
  }
  // Whether time alone will change something.
  bool timer_runs() const {
    return refusing_ || closed_since_ != 0 || underway_ || peer_moves_ ||
           (sends_outstanding() && latest_arrival_ != 0);
  }

  // reach.cpp. Waits while the peer reaches into memory that it may not reach any more.
  void await_reaching_peer() const;

  // Wakes the process that this talks to, or only its helper if that sleeps.
  void ring_peer(bool only_if_asleep) const;

  RequestBuilder builder;

 private:
  // A send request until it is completed.
  struct Send {
    uint64_t id;
    uint64_t wire;          // its number on the ring, where it is on it
    uint64_t ready_ticks;   // not complete before, as the links say
    uint64_t staging_mark;  // 0: nothing of it in the staging ring
    uint64_t staged_at;     // where in the segment a staged payload is
    uint64_t block_bytes;   // of a block of its own there; 0: it is in the ring
    uint64_t completion;    // how many its completion queue had with its own; 0: none is written
    uint64_t digest;        // of its memory when it was posted, while memory is watched
    uint32_t bytes;
    uint32_t units;
    ibv_wr_opcode opcode;
    ibv_wc_status failure;  // found when it was posted
    layout::Carriage carriage;
    bool on_wire, signaled;
    int pieces;  // in pieces_: of a READ, an atomic operation, or while memory is watched
  };
  // A datagram whose receiver's inbox is full.
  struct PendingDatagram {
    uint32_t receiver;
    layout::DatagramHeader header;
    std::vector<std::byte> payload;
  };

  const Segment& segment() const { return segment_; }
  Attachment& attachment() const { return attachment_; }
  const fabric::Profile& profile() const { return profile_; }
  bool datagrams() const { return datagrams_; }
  bool reliable() const { return reliable_; }
  bool extended_reliable() const { return extended_reliable_; }
  fabric::NoReceive unreliable_rule() const;
  layout::QueuePair& peer_record() const { return *peer_; }
  void set_peer(uint32_t number);
  uint32_t units_of(uint64_t bytes) const;
  bool receiving() const {
    return qp_base.state == IBV_QPS_RTR || qp_base.state == IBV_QPS_RTS ||
           qp_base.state == IBV_QPS_SQD || qp_base.state == IBV_QPS_SQE;
  }

  // Whether what is posted now can arrive: a cable leads there and the peer talks back.
  bool path_open();
  bool peer_listens() const;
  void look_at_topology() {
    if (segment().header().topology_epoch.load(std::memory_order_acquire) != topology_epoch_)
        [[unlikely]]
      read_topology();
  }
  void read_topology();
  int check(const ibv_send_wr& request, uint64_t* bytes) const;
  bool has_room(uint32_t units);
  void start_connection();
  Send& enqueue(const ibv_send_wr& request, uint64_t bytes, uint32_t units);
  bool stalls(const Send& latest);
  bool complete_sends(bool check_peer);
  uint64_t message_of(const Send& send, uint64_t request) const;
  bool put_on_wire(const ibv_send_wr& request, Send& send, uint64_t ticks);
  // The place of the next message on the ring; what it is; and there it is for the peer, by the
  // number that is returned.
  layout::Slot& free_slot();
  void describe(const ibv_send_wr& request, uint64_t bytes, uint64_t arrival_ticks,
                layout::Slot& slot) const;
  uint64_t publish(layout::Slot& slot);
  bool reach(const ibv_send_wr& request, Send& send, uint64_t ticks);
  bool target_is_slow(const Send& send, uint64_t ticks);
  bool copy_plainly(const layout::Process& process, const Pieces& mine, std::byte* place,
                    uint64_t bytes, bool writes);
  pid_t peer_within_reach(const layout::Process& process, uint64_t ticks);
  void end_life();
  void outlast_reaching() const;
  bool pass(Send& send, uint64_t ticks, Passage& passage);
  ibv_wc_status collect(const ibv_send_wr& request, Pieces& pieces) const;
  ibv_wc_status load(const ibv_send_wr& request, Send& send, layout::Slot& slot);
  ibv_wc_status load_result(const ibv_send_wr& request, Send& send, layout::Slot& slot,
                            const Pieces& pieces);
  bool stage(Send& send);
  bool stays_in_place(const Send& send) const;
  void leave_in_place(Send& send, layout::Slot& slot, const Pieces& pieces);
  int copy_from_peer(const Pieces& here, const Pieces& there);
  int copy_to_peer(const Pieces& here, const Pieces& there);
  template <typename Plainly, typename ByCall>
  int copy_with_peer(const Pieces& there, Plainly plainly, ByCall by_call);
  void count_plain_copy();
  // While memory is watched: what a request's memory holds; whether it still does.
  void remember(const ibv_send_wr& request, Send& send);
  bool changed(const Send& send) const;
  bool peer_copies() const;
  // Requests that change memory windows and reach no wire; IBV_WC_SUCCESS or what is wrong.
  ibv_wc_status act_locally(const ibv_send_wr& request);
  void ring_owner(uint32_t owner, bool only_if_asleep) const;
  void wake_peer_for(const Send& send) const;
  void wake_peer_now(const Send& send) const;
  bool stalled();
  // Whether a message is done when the peer has made something of it, rather than when it has left.
  bool peer_decides() const { return reliable() || unreliable_rule() == fabric::NoReceive::hold; }
  bool sends_matter() const;
  bool many_outstanding() const;
  uint64_t read_settled();
  bool under_way(const Send& send) const;
  bool may_complete(const Send& send, uint64_t settled) const;
  ibv_wc_status outcome(const Send& send);
  ibv_wc_status finish_read(const Send& send);
  void complete_send(const Send& send, ibv_wc_status status);
  bool timed_out();
  Send& send_at(uint64_t i) { return sends_[i & send_mask_]; }
  const Send& send_at(uint64_t i) const { return sends_[i & send_mask_]; }

  // What becomes of a message that has arrived.
  enum class Verdict { settled, waiting };

  // short_message.cpp. Whether the message has gone this way.
  void measure_short();
  bool on_plain_way() const;
  bool send_short(const ibv_send_wr& request, uint64_t& ticks);
  std::optional<Verdict> settle_short(const layout::Slot& slot);

  // datagram.cpp
  ibv_wc_status send_datagram(const ibv_send_wr& request, uint64_t ticks);
  bool deliver_datagram(uint32_t receiver, const layout::DatagramHeader& header,
                        const std::byte* payload);
  bool retry_datagrams();
  bool progress_datagrams();
  void settle_datagram(layout::Datagram& slot);

  [[gnu::noinline]] void trace_receive(uint64_t before_it, uint64_t bytes, uint64_t ticks) const;
  void adopt();
  bool settle_what_arrived();
  bool settle_arrivals();
  // From now on this message is the next.
  void await(uint64_t message) {
    next_ = message;
    next_slot_ = ring_ + (message & ring_mask_) * slot_bytes_;
    stamp_ = layout::stamp_of(adopted_, message);
  }
  Verdict settle(const layout::Slot& slot);
  bool still_there(const layout::Slot& slot) const;
  uint64_t arrival_at(const layout::Slot& slot) const;
  Verdict settle_send(const layout::Slot& slot, uint64_t arrival);
  Verdict settle_write(const layout::Slot& slot, uint64_t arrival);
  Verdict settle_read(const layout::Slot& slot);
  Verdict settle_atomic(const layout::Slot& slot);
  bool find_shared_queue(const layout::Slot& slot);
  bool withdrawn() const;
  Verdict meet_receive(uint64_t arrival);
  Verdict not_ready(uint64_t arrival);
  uint64_t retry_interval() const;
  bool drops(uint64_t arrival) const;
  void drop(uint64_t arrival, uint64_t message);
  Verdict forbid();
  const std::byte* payload_in(const layout::Slot& slot, uint64_t bytes) const;
  int fetch(const layout::Slot& slot, const Pieces& here);
  // Where a receive's pieces are; what is wrong with them if anything is.
  ibv_wc_status places(const Receive& receive, const ibv_sge* pieces, uint64_t bytes,
                       Pieces& out) const;
  bool place(const layout::Slot& slot, uint32_t bytes, ibv_wc_status& status);
  bool complete_receive(const layout::Slot& slot, uint32_t bytes, ibv_wc_status status,
                        ibv_wc_opcode opcode);
  ibv_wc& take_receive(ibv_wc_status status, uint32_t bytes, uint64_t message);
  CompletionQueue* completions_of_receives() const;
  // Of the message that is being settled, or comes next: its number at both ends, and its place.
  uint64_t stamp() const { return stamp_; }
  const layout::Slot& next_slot() const {
    return *reinterpret_cast<const layout::Slot*>(next_slot_);
  }
  // Whether that has been put on the ring.
  bool arrived(const layout::Slot& slot) const {
    return slot.stamp.load(std::memory_order_acquire) == stamp();
  }
  void refuse(ibv_wc_status status);
  struct Target;
  Region* remote_region(const Target& target, int access);

  void complete_settled();
  void fail_sends();
  void settle_arrived();
  void flush_sends();
  void flush_receives();
  void reset();
  void discard_completions();
  void start_record();
  void give_back_record();
  void set_state(ibv_qp_state state);

  // XRC, in shared_receiver.cpp
  class Turn;
  bool visits() const { return shared_receiver() && !domain_ && !made_; }
  bool shared_receiver() const { return qp_base.qp_type == IBV_QPT_XRC_RECV; }
  bool has_work();
  bool progress_shared();
  bool is_mine(const layout::Slot& slot) const;
  const layout::SharedQueue* named_by(const layout::Slot& slot) const;
  const layout::SharedQueue* named_by(const Send& send) const;
  void wake_next_settler() const;
  void refresh();
  void show_attributes();
  void tell_sharers() const;
  bool leave();
  void look_for_dead_sharers() const;

  Context& owner_;
  Attachment& attachment_;
  const Segment& segment_;
  const fabric::Profile& profile_;
  const bool datagrams_, reliable_, extended_reliable_;
  uint32_t number_;
  layout::QueuePair& record_;
  layout::QueuePair* peer_;  // as record_ names it
  ibv_qp_cap cap_;
  bool signal_all_;
  ibv_qp_attr attributes_{};  // as set so far

  ReceiveQueue& receives();
  const ReceiveQueue& receives() const;
  const ibv_pd* receive_domain() const;

  // Where it talks to.
  uint32_t topology_epoch_ = 0;
  bool reachable_ = false;
  uint64_t unreachable_from_ = 0;        // what was posted before still arrives
  uint64_t peer_life_ = 0;               // that the messages on the ring are for
  mutable uint64_t listening_life_ = 0;  // of the peer's, in which it was found to listen to this

  // The sender's half. Requests are counted for ever, messages on the ring from each connection's
  // start.
  void keep_pieces(const ibv_send_wr& request, Send& send);
  const ibv_sge* pieces_of(uint64_t i) const;

  uint64_t send_mask_ = 0;
  std::unique_ptr<Send[]> sends_;
  std::unique_ptr<ibv_sge[]> pieces_;  // of the requests, by their place in sends_
  uint64_t posted_ = 0, completed_ = 0, reclaimed_ = 0, released_ = 0;
  uint64_t on_wire_ = 0, settled_ = 0;
  uint64_t short_bytes_ = 0;  // most of a message that may go the shorter way
  uint64_t slot_room_ = 0;    // for one in its slot
  uint32_t used_units_ = 0;   // of requests that are not released
  uint32_t awaited_ = 0;      // requests whose completion somebody will read
  Staging staging_;
  uint64_t latest_arrival_ = 0;
  uint64_t closed_since_ = 0;  // ticks since when a reliable send has no way; 0: it has
  uint64_t looked_at_peer_ = 0;
  bool peer_dead_ = false;
  bool failing_ = false;        // a request is posted after which nothing reaches the wire
  uint32_t stalled_polls_ = 0;  // in vain, since a send completed,
  uint64_t stalled_since_ = 0;  // and ticks of the last time that was looked into
  Patience patience_;
  uint64_t latest_one_sided_ = 0;                // ticks
  uint64_t completions_read_ = 0;                // of its queue, then
  bool left_to_target_ = false;                  // that operation was
  uint64_t proven_life_ = 0, proven_ticks_ = 0;  // of the peer whose memory was found within reach
  pid_t proven_pid_ = 0;                         // 0: it is not
  uint64_t reached_by_call_ = 0;                 // operations that took a system call

  // The receiver's half.
  ReceiveQueue own_receives_;
  SharedReceiveQueue* shared_ = nullptr;  // instead of its own; of XRC: the latest message's
  uint64_t adopted_ = 0;                  // the connection of the peer whose ring is read; 0: none
  const std::byte* ring_ = nullptr;
  uint64_t ring_mask_ = 0, slot_bytes_ = 0;
  uint32_t peer_owner_ = 0;               // who has the ring, as its record says
  int32_t peer_pid_ = 0;                  // of the ring's owner; 0: this process
  uint64_t next_ = 0;                     // the message to settle next,
  const std::byte* next_slot_ = nullptr;  // its place,
  uint64_t stamp_ = 0;                    // and what will lie there
  uint64_t last_settled_ticks_ = 0;
  int receive_error_ = EINVAL;  // of whoever posts a receive in this state; 0: none
  bool refusing_ = false;       // an RNR timer runs
  bool holding_ = false;        // a message waits for a receive
  bool underway_ = false;       // a message has not arrived yet
  bool peer_moves_ = false;     // pages, one of which is a message's

  std::deque<PendingDatagram> pending_;
  std::optional<PendingDatagram> overtaken_;  // a reordered datagram waits for its successor
  uint32_t stuck_looks_ = 0;                  // at a slot whose sender may have died

  // A receiver of XRC.
  ExtendedDomain* domain_ = nullptr;  // in which this has a share; none: it visits
  uint64_t domain_number_ = 0;
  uint32_t share_ = 0;         // its record
  bool made_ = false;          // by this, as every other queue pair is
  int turns_ = 0;              // open, one inside the other
  uint64_t adopted_life_ = 0;  // of the record, when `adopted_` was
};

}  // namespace railyard::sim
