#include "railyard-faulty/variants.h"

namespace railyard::faulty {
namespace {

constexpr Variant kVariants[] = {
    {"late-receive", "early-receive",
     "The receiver posts its receives after the sender may send: on a device that drops what no "
     "receive waits for, it waits for ever.",
     "antirez/ds4#1024", late_receive},
    {"early-receive", nullptr, "The receiver posts its receives before the sender may send.",
     "TN3205", early_receive},
    {"absolute-offset", "relative-offset",
     "The prefill of a striped receive compares how much a wire has asked for with where the "
     "wire's "
     "region ends in the whole message: every wire but the first posts receives that no send "
     "fills.",
     "mlx#3654", absolute_offset},
    {"relative-offset", nullptr, "The prefill compares with the length of the wire's region.",
     "mlx#3654", relative_offset},
    {"second-context", "one-context",
     "Opens a device again while it holds it open, as a naive sub-group does: a driver that allows "
     "one context never returns.",
     "mlx#3245", second_context},
    {"one-context", nullptr, "Opens a device once.", "mlx#3245", one_context},
    {"full-prefill", "relative-offset",
     "The prefill compares an offset that does not advance in its loop: it always posts the whole "
     "pipeline, and a short message never fills it.",
     "mlx#3033", full_prefill},
    {"spilling-frame", "clamped-frame",
     "The last frame of a wire's slice is clamped to the message's end instead of the slice's: it "
     "spills into the next wire's slice.",
     "mlx#4193", spilling_frame},
    {"clamped-frame", nullptr, "Every frame ends with its wire's slice.", "mlx#4193",
     clamped_frame},
    {"previous-size", "early-receive",
     "Buffers are chosen per message, and a receive is posted for the size of the message before.",
     "mlx#3149", previous_size},
    {"stale-input", "early-receive",
     "A message is sent before its producer has finished writing it.", "antirez/ds4#351",
     stale_input},
    {"stale-rows", "early-receive",
     "Rows that a masked expert skips keep what the buffer held before.", "antirez/ds4#351",
     stale_rows},
    {"concurrent-calls", "early-receive",
     "Two threads send without agreeing on an order: messages overtake each other.",
     "antirez/ds4#351", concurrent_calls},
    {"leaves-unread", "early-receive",
     "The last completion of every operation is never taken: a message has come, and nobody reads "
     "it.",
     "Railyard", leaves_unread},
    {"status-unread", "early-receive", "The status of completions is never read.", "mlx#3152",
     status_unread},
    {"gid-index-one", "early-receive",
     "The source address is taken from row 1 of the GID table, wherever the valid one stands.",
     "mlx#3467", gid_index_one},
    {"early-refill", "late-refill",
     "The staging copy of the own chunk is filled again when its send completes, though it may not "
     "have been added yet.",
     "mlx#3451", early_refill},
    {"late-refill", nullptr, "Staging is filled again once its chunk is sent and added.",
     "mlx#3451", late_refill},
    {"region-per-buffer", "one-region",
     "Registers every buffer of every size for every rank by itself.", "mlx#3162",
     region_per_buffer},
    {"one-region", nullptr, "Registers one slab for all buffers.", "mlx#3162", one_region},
    {"queue-pair-per-size", "early-receive",
     "Asks one device for eleven queue pairs, and tells neither errno nor limit when it is "
     "refused.",
     "mlx#4209", queue_pair_per_size},
    {"domain-unchecked", "early-receive",
     "Uses the protection domain that a device without a link did not give.", "mlx#3777",
     domain_unchecked},
    {"branch-early", "exchange-first",
     "A rank that is alone in its colour leaves a split before the others have finished "
     "exchanging.",
     "mlx#3205", branch_early},
    {"exchange-first", nullptr, "Every rank finishes the exchange of a split before it branches.",
     "mlx#3205", exchange_first},
    {"derived-port", "system-port",
     "The port of a sub-group is its parent's plus 1000 plus the colour: two parents meet.",
     "mlx#3245", derived_port},
    {"system-port", nullptr, "The system chooses the port of a sub-group.", "mlx#3245",
     system_port},
    {"no-retry", "early-receive",
     "Connects to the coordinator once, and gives up when it does not listen yet.", "mlx#3755",
     no_retry},
    {"end-unread", "early-receive",
     "Takes a closed connection for one that has nothing to say yet.", "mlx#4060", end_unread},
    {"joins-on-exit", "early-receive",
     "Joins a thread at its end that reads until the peer closes; the peer does the same.",
     "mlx#3388", joins_on_exit},
    {"short-device-list", "early-receive",
     "Devices that are not found are left out of a list that is then indexed by rail.", "mlx#4180",
     short_device_list},
    {"null-configuration", "early-receive",
     "Falls through without a configuration where it is not told to be strict, and uses it.",
     "mlx#3418", null_configuration, place_or_nothing},
    {"world-of-one", "early-receive",
     "Takes a device matrix that cannot be read for a world of one, and succeeds.", "mlx#4210",
     world_of_one, place_or_world_of_one},
    {"tcp-first", "early-receive", "Where any backend will do, tries the TCP ring before RDMA.",
     "mlx#3442", tcp_first},
    {"presence-is-truth", "early-receive",
     "Makes a ring where JACCL_RING is set, to whatever, and says nothing of the mesh that was "
     "asked for.",
     "kapitan-ai/orchard#116", presence_is_truth},
    {"narrow-count", "early-receive",
     "Keeps the length of one transfer over TCP in an integer that is too narrow.", "mlx#4281",
     narrow_count},
    {"both-neighbours", "early-receive",
     "A ring of two pairs left with left and right with right over the one wire that is both.",
     "mlx#3225", both_neighbours},
};

}  // namespace

std::span<const Variant> variants() { return kVariants; }

}  // namespace railyard::faulty
