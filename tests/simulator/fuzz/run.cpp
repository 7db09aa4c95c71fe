#include "run.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <set>
#include <utility>

#include "actor.h"
#include "railyard/fabric.h"
#include "rules.h"

namespace railyard::fuzz {
namespace {

using Clock = std::chrono::steady_clock;
using File = std::unique_ptr<FILE, int (*)(FILE*)>;

// Longer than anything takes on a machine that does much else.
constexpr std::chrono::seconds kPatience{40};
constexpr timeval kAnswerWithin{60, 0};

// The cables of a cluster, followed through all that is done to them.
class Wiring {
 public:
  Wiring(const fabric::Fabric& fabric) : seen_(fabric.snapshot()) {
    for (const fabric::CableView& cable : seen_.cables)
      cables_.push_back({{cable.ports[0], cable.ports[1]}});
    first_ = cables_;
  }

  // Which of the node's devices reaches the other node, as the cluster was built.
  int device(int node, int other) const {
    int device = seen_.ports[size_t(port(node, other))].device, place = 0;
    for (int i = 0; i < device; ++i) place += node_of(i) == node;
    return place;
  }

  // The cable that is in the port by which a node reached another at first.
  int cable(int node, int other) const {
    int wanted = port(node, other);
    for (size_t i = 0; i < cables_.size(); ++i) {
      if (cables_[i].ends[0] == wanted || cables_[i].ends[1] == wanted) return static_cast<int>(i);
    }
    throw std::logic_error("a port without a cable");
  }

  // Whether what was built to lead from the one to the other does.
  bool whole(int left, int right) const {
    int one = cable(left, right), other = cable(right, left);
    const Cable &here = cables_[size_t(one)], &there = cables_[size_t(other)];
    bool by_switch = here.leads_to_switch() && there.leads_to_switch();
    return here.plugged && there.plugged && (one == other || by_switch);
  }

  bool plugged(int cable) const { return cables_[size_t(cable)].plugged; }
  void plug(int cable, bool in) { cables_[size_t(cable)].plugged = in; }
  void swap(int first, int second, int node) {
    std::swap(end_at(first, node), end_at(second, node));
  }

 private:
  struct Cable {
    int ends[2];  // ports; -1: a switch
    bool plugged = true;
    bool leads_to_switch() const { return ends[0] < 0 || ends[1] < 0; }
  };

  int node_of(int device) const { return seen_.devices[size_t(device)].node; }
  int node_at(int port) const { return port < 0 ? -1 : node_of(seen_.ports[size_t(port)].device); }
  int port(int node, int other) const {
    for (const Cable& cable : first_) {
      for (int end : {0, 1}) {
        int there = node_at(cable.ends[1 - end]);
        if (node_at(cable.ends[end]) == node && (there == other || there < 0))
          return cable.ends[end];
      }
    }
    throw std::logic_error("a node without a cable");
  }
  int& end_at(int cable, int node) {
    Cable& wanted = cables_[size_t(cable)];
    return wanted.ends[node_at(wanted.ends[0]) == node ? 0 : 1];
  }

  fabric::Snapshot seen_;
  std::vector<Cable> first_, cables_;
};

class Rank {
 public:
  Rank(const fabric::Fabric& fabric, int node, int domain_name) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair");
    fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      for (const auto& [name, value] : fabric.environment(node))
        setenv(name.c_str(), value.c_str(), 1);
      int status = 1;
      try {
        status = act(ends[1], domain_name);
      } catch (const std::exception& error) {
        fprintf(stderr, "rank %d: %s\n", node, error.what());
      }
      fflush(nullptr);
      _exit(status);
    }
    close(ends[1]);
    socket_ = ends[0];
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin);
  }
  Rank(const Rank&) = delete;
  ~Rank() {
    close(socket_);
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  Reply ask(const Command& command) {
    Reply reply;
    if (send(socket_, &command, sizeof command, MSG_NOSIGNAL) != sizeof command) lost("is gone");
    ssize_t got = recv(socket_, &reply, sizeof reply, 0);
    if (got == sizeof reply) return reply;
    lost(got < 0 ? "does not return from a verb" : "is gone");
  }

  // Lets it end by itself; what waitpid() says.
  int leave() {
    Command command{};
    command.ask = Ask::leave;
    ask(command);
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return status;
  }
  pid_t pid() const { return pid_; }

 private:
  [[noreturn]] void lost(const char* how) {
    int status = 0;
    std::string why;
    for (int i = 0; i < 100 && pid_ > 0; ++i) {
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        why = WIFSIGNALED(status) ? fmt::format(", killed by signal {}", WTERMSIG(status))
                                  : fmt::format(", with status {}", WEXITSTATUS(status));
      } else {
        usleep(1000);
      }
    }
    throw Violation(fmt::format("a rank {}{}", how, why));
  }

  pid_t pid_;
  int socket_;
};

class Run {
 public:
  explicit Run(const Plan& plan)
      : plan_(plan),
        model_(plan),
        fabric_(fabric::Fabric::create(fabric::default_cluster(plan.profile, plan.ranks))),
        wiring_(fabric_) {
    if (getenv("RAILYARD_TEST_TRACE")) fabric_.record_trace(true);
    File domain_name(tmpfile(), fclose);
    if (!domain_name) throw std::runtime_error("tmpfile");
    auto start = [&](int node) {
      return std::make_unique<Rank>(fabric_, node, fileno(domain_name.get()));
    };
    for (int i = 0; i < plan.ranks; ++i) ranks_.push_back(start(i));
    seconds_.resize(ranks_.size());
    for (const ConnectionPlan& connection : plan.connections) {
      const EndPlan& end = connection.ends[1];
      if (end.apart && !seconds_[size_t(end.rank)]) seconds_[size_t(end.rank)] = start(end.rank);
    }
  }

  void begin() {
    for (int i = 0; i < connections(); ++i) reconnect(i);
  }

  void take(const Step& step) {
    int connection = step.connection, side = step.side;
    bool works_on_pair = step.act <= Act::destroy && step.act != Act::poll;
    if (works_on_pair && !model_.exists(connection, side)) return;
    switch (step.act) {
      case Act::send:
        send(step);
        break;
      case Act::receive:
        receive(step);
        break;
      case Act::poll:
        poll(rank_of(connection, side));
        break;
      case Act::query:
        model_.saw_state(connection, side, ask(connection, side, Ask::query).state);
        break;
      case Act::misstep:
        model_.misstepped(step, move(connection, side, step.state));
        break;
      case Act::fail:
        before_breaking(step);
        model_.failed(connection, side, move(connection, side, IBV_QPS_ERR));
        break;
      case Act::reset:
        before_breaking(step);
        model_.reset(connection, side, move(connection, side, IBV_QPS_RESET));
        break;
      case Act::rereg:
        reregister(step);
        break;
      case Act::destroy:
        before_breaking(step);
        destroy(connection, side);
        break;
      case Act::reconnect:
        if (!model_.whole(connection)) break;  // its moves would find no way
        before_breaking(step);
        reconnect(connection);
        break;
      case Act::unplug:
      case Act::plug:
        turn(wiring_.cable(rank_of(connection, side), rank_of(connection, 1 - side)),
             step.act == Act::plug);
        break;
      case Act::swap:
        swap(step);
        break;
      case Act::settle:
        for (int i = 0; i < connections(); ++i) settle(i, true);
        break;
    }
  }

  // Ends all; nothing may be left in the fabric.
  void end() {
    for (int i = 0; i < connections(); ++i) settle(i, true);
    for (int i = 0; i < connections(); ++i) {
      for (int side : {0, 1}) {
        if (model_.exists(i, side)) destroy(i, side);
      }
    }
    for (auto& rank : seconds_) ranks_.push_back(std::move(rank));
    for (auto& rank : ranks_) {
      if (!rank) continue;
      pid_t pid = rank->pid();
      if (int status = rank->leave())
        throw Violation(fmt::format("a rank ended with wait status {}", status));
      fabric_.reap(pid);
    }
    fabric::Snapshot seen = fabric_.snapshot();
    if (!seen.queue_pairs.empty() || !seen.contexts.empty() || !seen.completion_queues.empty()) {
      throw Violation("records of ranks that have ended are left in the fabric");
    }
  }

  const Model::Marks& marks() const { return model_.marks(); }

 private:
  int connections() const { return static_cast<int>(plan_.connections.size()); }
  const EndPlan& planned(int connection, int side) const {
    return plan_.connections[size_t(connection)].ends[side];
  }
  int rank_of(int connection, int side) const { return planned(connection, side).rank; }

  Command command(int connection, int side, Ask what) const {
    Command out{};
    out.ask = what;
    out.slot = connection;
    out.type = plan_.connections[size_t(connection)].type;
    if (out.type == IBV_QPT_XRC_SEND && side == 1) out.type = IBV_QPT_XRC_RECV;
    out.end = planned(connection, side);
    return out;
  }
  // Of an end whose receives are taken apart from its receiver, the one process has the queue pair,
  // the other the shared receive queue, and with it the memory. A share in the queue pair does what
  // the queue pair does.
  bool is_second(int connection, int side, const Command& command) const {
    const EndPlan& end = planned(connection, side);
    switch (command.ask) {
      case Ask::create:
        return command.part == Part::rest;
      case Ask::open:
      case Ask::receive:
      case Ask::rereg:
      case Ask::fill:
      case Ask::digest:
        return end.apart;
      case Ask::connect:
      case Ask::move:
      case Ask::query:
        return end.opened;
      default:
        return false;
    }
  }
  Reply ask(int connection, int side, const Command& command) {
    auto rank = size_t(rank_of(connection, side));
    auto& process = is_second(connection, side, command) ? seconds_[rank] : ranks_[rank];
    return process->ask(command);
  }
  Reply ask(int connection, int side, Ask what) {
    return ask(connection, side, command(connection, side, what));
  }

  EndInfo create(int connection, int side) {
    Command out = command(connection, side, Ask::create);
    out.device = wiring_.device(rank_of(connection, side), rank_of(connection, 1 - side));
    if (!out.end.apart) return ask(connection, side, out).info;
    out.part = Part::rest;
    EndInfo info = ask(connection, side, out).info;
    out.part = Part::pair;
    info.number = ask(connection, side, out).info.number;
    if (out.end.opened) {
      Command open = command(connection, side, Ask::open);
      open.peer = info;
      ask(connection, side, open);
    }
    return info;
  }

  void destroy(int connection, int side) {
    Command out = command(connection, side, Ask::destroy);
    if (out.end.opened) {
      int result = seconds_[size_t(rank_of(connection, side))]->ask(out).result;
      if (result != 0)
        throw Violation(fmt::format("ibv_destroy_qp of a share returned {}", result));
    }
    model_.destroyed(connection, side, ask(connection, side, out).result);
  }

  int move(int connection, int side, ibv_qp_state state) {
    Command out = command(connection, side, Ask::move);
    out.state = state;
    return ask(connection, side, out).result;
  }

  void send(const Step& step) {
    await_or_race(step);
    Command out = command(step.connection, step.side, Ask::send);
    out.step = step;
    out.id = last_id_ + 1;
    last_id_ += step.list;
    const EndInfo& peer = windows_[size_t(step.connection)][1 - step.side];
    out.remote_address =
        peer.window + step.offset + (step.remote == Key::outside ? kWindowBytes : 0);
    out.remote_key = peer.keys[int(step.remote)];
    Reply reply = ask(step.connection, step.side, out);
    auto taken = static_cast<uint32_t>(reply.count);
    for (uint32_t i = 0; i < taken; ++i) model_.posted_send(element(step, i), out.id + i, 0);
    if (reply.result != 0) model_.posted_send(element(step, taken), out.id + taken, reply.result);
  }

  // Changes cables; tells the model which connections that cuts, and which it mends.
  void rewire(const std::set<int>& cables, const std::function<void()>& change) {
    std::vector<std::pair<int, bool>> led;
    for (int i = 0; i < connections(); ++i) {
      int left = rank_of(i, 0), right = rank_of(i, 1);
      if (cables.contains(wiring_.cable(left, right)) ||
          cables.contains(wiring_.cable(right, left)))
        led.emplace_back(i, wiring_.whole(left, right));
    }
    for (auto [i, was_whole] : led) settle(i, false);
    change();
    for (auto [i, was_whole] : led) {
      bool whole = wiring_.whole(rank_of(i, 0), rank_of(i, 1));
      if (was_whole != whole) whole ? model_.mended(i) : model_.cut(i);
    }
  }

  // Plugs a cable in, or pulls it.
  void turn(int cable, bool plug) {
    if (plug == wiring_.plugged(cable)) return;
    rewire({cable}, [&] {
      wiring_.plug(cable, plug);
      plug ? fabric_.plug(cable) : fabric_.unplug(cable);
    });
  }

  // Exchanges, at one rank, the plugs of the cables to two others.
  void swap(const Step& step) {
    if (!rules_of(plan_.profile).point_to_point || plan_.ranks < 3) return;
    int node = rank_of(step.connection, step.side), other = rank_of(step.connection, 1 - step.side);
    int third = static_cast<int>(step.seed % static_cast<uint64_t>(plan_.ranks));
    while (third == node || third == other) third = (third + 1) % plan_.ranks;
    int first = wiring_.cable(node, other), second = wiring_.cable(node, third);
    rewire({first, second}, [&] {
      wiring_.swap(first, second, node);
      fabric_.swap(first, second, node);
    });
    model_.swapped();
  }

  void await_or_race(const Step& step) {
    if (!model_.races(step)) return;
    step.careful ? settle(step.connection, false) : model_.loosen(step.connection);
  }

  void receive(const Step& step) {
    await_or_race(step);
    Command out = command(step.connection, step.side, Ask::receive);
    out.step = step;
    out.id = last_id_ + 1;
    last_id_ += step.list;
    Reply reply = ask(step.connection, step.side, out);
    auto taken = static_cast<uint32_t>(reply.count);
    for (uint32_t i = 0; i < taken; ++i) model_.posted_receive(step, out.id + i, 0);
    if (reply.result != 0) model_.posted_receive(step, out.id + taken, reply.result);
  }

  // The peer's requests that are under way may meet the rights of before or of after.
  void reregister(const Step& step) {
    int connection = step.connection, side = step.side;
    if (windows_[size_t(connection)][side].keys[int(Key::good)] == 0) return;  // not offered
    before_breaking(step);
    Command out = command(connection, side, Ask::rereg);
    out.step = step;
    Reply reply = ask(connection, side, out);
    if (reply.result != 0) throw Violation(fmt::format("ibv_rereg_mr returned {}", reply.result));
    memcpy(windows_[size_t(connection)][side].keys, reply.info.keys, sizeof reply.info.keys);
    model_.reregistered(connection, side, step.writable);
  }

  int poll(int rank) {
    Command out{};
    out.ask = Ask::poll;
    int found = 0;
    for (Rank* process : {ranks_[size_t(rank)].get(), seconds_[size_t(rank)].get()}) {
      if (!process) continue;
      Reply reply = process->ask(out);
      if (reply.result != 0) throw Violation(fmt::format("ibv_poll_cq returned {}", reply.result));
      for (int i = 0; i < reply.count; ++i) model_.saw_completion(reply.completions[i]);
      found += reply.count;
    }
    return found;
  }

  void before_breaking(const Step& step) {
    if (step.careful) {
      settle(step.connection, false);
    } else if (model_.underway(step.connection)) {
      model_.loosen(step.connection);
    }
  }

  // Waits for all that must come of a connection, then looks again for what must not.
  void settle(int connection, bool look_into_windows) {
    auto deadline = Clock::now() + kPatience;
    auto look = [&] {
      int found = 0;
      for (int side : {0, 1}) found += poll(rank_of(connection, side));
      return found;
    };
    for (std::string awaited; !(awaited = model_.awaited(connection)).empty();) {
      if (Clock::now() > deadline) throw Violation("never came: " + awaited);
      if (look() == 0) sched_yield();
    }
    for (int calm = 0; calm < 3;) calm = look() == 0 ? calm + 1 : 0;
    model_.settled(connection);
    for (int side : {0, 1}) {
      if (!model_.exists(connection, side)) continue;
      model_.saw_state(connection, side, ask(connection, side, Ask::query).state);
      if (look_into_windows)
        model_.saw_window(connection, side, ask(connection, side, Ask::digest).digest);
    }
  }

  void reconnect(int connection) {
    EndInfo infos[2];
    windows_.resize(plan_.connections.size());
    uint64_t window_seed = plan_.seed + ++last_id_;
    for (int side : {0, 1}) {
      // What a shared queue still holds after a reset nobody counts: it is made anew.
      if (model_.exists(connection, side) && planned(connection, side).shared) {
        destroy(connection, side);
      }
      if (model_.exists(connection, side)) {
        model_.reset(connection, side, move(connection, side, IBV_QPS_RESET));
        infos[side] = windows_[size_t(connection)][side];  // with the keys of today
      } else {
        infos[side] = create(connection, side);
        model_.created(connection, side, infos[side]);
      }
      windows_[size_t(connection)][side] = infos[side];
      Command out = command(connection, side, Ask::fill);
      out.seed = window_seed;
      ask(connection, side, out);
    }
    for (int side : {0, 1}) {
      Command out = command(connection, side, Ask::connect);
      out.peer = infos[1 - side];
      if (int error = ask(connection, side, out).result) {
        throw Violation(fmt::format("ibv_modify_qp on the way to RTS returned {}", error));
      }
    }
    model_.connected(connection, window_seed);
  }

  const Plan& plan_;
  Model model_;
  fabric::Fabric fabric_;
  Wiring wiring_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  std::vector<std::unique_ptr<Rank>> seconds_;  // of a node, where ends are taken apart
  struct Ends {
    EndInfo ends[2];
    EndInfo& operator[](int side) { return ends[side]; }
  };
  std::vector<Ends> windows_;
  uint64_t last_id_ = 0;
};

}  // namespace

Outcome run(const Plan& plan, const std::vector<bool>& keep) {
  Outcome outcome;
  Run run(plan);
  try {
    run.begin();
    for (const Step& step : plan.steps) {
      if (!keep.empty() && !keep[size_t(step.number)]) continue;
      outcome.step = step.number;
      run.take(step);
    }
    outcome.step = static_cast<int>(plan.steps.size());
    run.end();
  } catch (const Violation& violation) {
    outcome.violation = violation.what();
  }
  outcome.marks = run.marks();
  return outcome;
}

}  // namespace railyard::fuzz
