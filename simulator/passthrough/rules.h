// The rules: what is broken, and when. Read once, when the library is loaded.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "railyard/passthrough.h"

namespace railyard::passthrough {

// Where a rule can take hold: kPlaces.
enum class Point {
  get_device_list = 1,
  open_device,
  close_device,
  query_device,
  query_port,
  query_gid,
  alloc_pd,
  dealloc_pd,
  reg_mr,
  dereg_mr,
  create_cq,
  destroy_cq,
  create_qp,
  modify_qp,
  destroy_qp,
  post_send,
  post_recv,
  poll_cq,
  completion,
  count,
};
const char* name_of(Point point);  // "ibv_open_device"; "completion"

enum class Resource {
  contexts,
  protection_domains,
  completion_queues,
  queue_pairs,
  memory_regions,
  send_requests,     // of one queue pair
  receive_requests,  // of one queue pair
  count,
};
const char* name_of(Resource resource);  // "queue-pairs"

enum class Deed { fail, delay, block, drop, status, gid, limit, address };

struct Rule {
  int index = 0;     // its state's on the page
  std::string text;  // as it was written
  Deed deed = Deed::fail;
  Point point = Point::open_device;
  std::string device;           // empty: any
  uint64_t nth = 1, times = 1;  // times 0: for ever
  uint64_t after_messages = 0;  // counts only once the process has posted so many sends
  int signal = 0;               // counts only once the process has got this signal
  bool later = false;           // counts only once it is armed on the page
  int number = 0;               // an errno or an ibv_wc_status
  int64_t delay_ns = 0;
  int row = -1;       // gid: -1: every row
  int real_row = -1;  // gid: connections from it are from this row of the device's own table
  std::array<uint8_t, 16> gid{}, real_gid{};  // address: connections to one go to the other
  Resource resource = Resource::contexts;
  int64_t most = 0;      // limit
  bool used_up = false;  // limit: what there is when it takes hold
};

class Rules {
 public:
  // Of this process, as its environment says.
  static Rules& instance();

  // Those that take hold there, in the order of the file.
  const std::vector<const Rule*>& at(Point point) const {
    return points_[static_cast<size_t>(point)];
  }
  const std::vector<const Rule*>& limits() const { return limits_; }
  const std::vector<const Rule*>& addresses() const { return addresses_; }
  bool any() const { return !rules_.empty(); }

  RulePage& page() const { return *page_; }
  RuleState& state(const Rule& rule) const { return page_->rules[rule.index]; }
  // Whether the rule counts calls now.
  bool counting(const Rule& rule) const;
  // One call more that the rule applies to: whether it fires for it. Notes that it fired.
  bool strikes(const Rule& rule, const char* device);
  void note_fired(const Rule& rule, const char* device);

  void count_messages(uint64_t more) { messages_.fetch_add(more, std::memory_order_relaxed); }

 private:
  Rules();
  void read(const std::string& file);
  void map_page();
  void listen_to_signals();

  std::vector<Rule> rules_;
  std::vector<const Rule*> points_[static_cast<size_t>(Point::count)], limits_, addresses_;
  RulePage* page_ = nullptr;
  std::atomic<uint64_t> messages_{0};
};

// Reads one line. Throws std::runtime_error with what is wrong and the mend.
Rule parse_rule(const std::string& line);

int64_t now_ns();

}  // namespace railyard::passthrough
