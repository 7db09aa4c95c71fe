// railyard-faulty: the field's mistakes as workers of a scenario, to show that the harness finds
// them.
//
// The variant is named on the command line or by "variant" in RAILYARD_WORK, which may carry the
// options too ("late-receive --transport RC"). Environment, result and exit codes are those of
// railyard-rank.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "railyard-faulty/session.h"
#include "railyard-faulty/variants.h"
#include "railyard-faulty/worker_error.h"
#include "railyard/worker.h"

namespace {

namespace faulty = railyard::faulty;
namespace worker = railyard::worker;
using railyard::harness::WorkerExit;

std::string list_of_variants() {
  std::string text = "Variants:\n";
  for (const faulty::Variant& variant : faulty::variants()) {
    text += fmt::format(
        "  {:16} {} ({}){}\n", variant.name, variant.summary, variant.source,
        variant.twin == nullptr ? std::string() : fmt::format(" Healthy twin: {}.", variant.twin));
  }
  return text;
}

const faulty::Variant& find_variant(const std::string& name) {
  for (const faulty::Variant& variant : faulty::variants()) {
    if (name == variant.name) return variant;
  }
  throw worker::BadInput(name.empty()
                             ? "name a variant; --help lists them"
                             : fmt::format("unknown variant '{}'; --help lists them", name));
}

struct Arguments {
  std::string variant;
  std::string transport = "UC";
  int rnr_retry = 0;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.footer(list_of_variants());
  app.add_option("variant", arguments.variant, "Which mistake to make, or its healthy twin");
  app.add_option("--transport", arguments.transport,
                 "UC or RC, where the device has both (default UC)")
      ->check(CLI::IsMember({"UC", "RC"}));
  app.add_option("--rnr-retry", arguments.rnr_retry,
                 "How often RC tries again when the receiver is not ready (default 0; 7: for ever)")
      ->check(CLI::Range(0, 7));
}

// Only the failures of a worker are results; bad input goes to the caller.
int run(const Arguments& arguments, faulty::Session& session) {
  const faulty::Variant& variant = find_variant(arguments.variant);
  session.options.transport =
      arguments.transport == "RC" ? faulty::Transport::rc : faulty::Transport::uc;
  session.options.rnr_retry = static_cast<uint8_t>(arguments.rnr_retry);
  session.result.rank = session.place.rank;
  session.result.backend = variant.name;
  session.result.backend_reason = variant.source;
  try {
    variant.run(session);
  } catch (const faulty::WorkerError& error) {
    session.result.failure = error.failure();
    fmt::print(stderr, "railyard-faulty: {}\n", error.what());
  }
  worker::report(session.result);
  session.progress.end(session.result.ok());
  return worker::exit_code(session.result);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed side channel is an error to report
  CLI::App app("The field's mistakes as workers of a scenario", "railyard-faulty");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
    const std::string work = worker::environment(railyard::harness::kWorkVariable);
    if (arguments.variant.empty()) app.parse(worker::variant_of(work));
    const faulty::Variant& variant = find_variant(arguments.variant);

    faulty::Session session;
    session.progress = worker::Progress::from_environment();
    session.place = variant.place();
    session.work = worker::read_work(work, session.place.ranks);
    return run(arguments, session);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(WorkerExit::bad_input);
  } catch (const worker::BadInput& error) {
    fmt::print(stderr, "railyard-faulty: {}\n", error.what());
    return static_cast<int>(WorkerExit::bad_input);
  }
}
