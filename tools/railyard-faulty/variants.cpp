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
};

}  // namespace

std::span<const Variant> variants() { return kVariants; }

}  // namespace railyard::faulty
