// railyard: the command line.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "railyard/bench.h"
#include "railyard/exec.h"
#include "railyard/guard.h"
#include "railyard/nearest.h"
#include "railyard/scenario.h"
#include "railyard/verdict.h"
#include "run.h"
#include "topology.h"

namespace railyard::cli {

std::atomic<int> interrupted{0};

namespace {

using namespace railyard::harness;

void on_signal(int number) { interrupted.store(number); }

void listen_to_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

Shard read_shard(const std::string& text) {
  Shard shard{0, 0};
  int read = 0;
  std::sscanf(text.c_str(), "%zu/%zu%n", &shard.index, &shard.count, &read);
  return static_cast<size_t>(read) == text.size() ? shard : Shard{0, 0};
}

std::string check_shard(const std::string& text) {
  Shard shard = read_shard(text);
  if (shard.index >= 1 && shard.index <= shard.count) return "";
  return fmt::format("'{}' is no shard; write i/n with i from 1 to n, as in 2/4", text);
}

int list(const std::vector<std::string>& paths) {
  for (const std::string& file :
       find_scenarios(paths.empty() ? std::vector<std::string>{default_scenarios()} : paths)) {
    Scenario scenario = load_scenario(file);
    fmt::print("{:<28} {:<28} {}\n", scenario.name, scenario.expect.verdict_text(),
               scenario.summary);
  }
  return kMet;
}

int explain(const std::string& name) {
  const VerdictPage* page = find_verdict(name);
  if (page == nullptr) {
    fmt::print(stderr, "railyard explain: there is no verdict '{}'; {}\n", name,
               suggest(name, verdict_names()));
    return kBadInput;
  }
  fmt::print("{}", page->text);
  return kMet;
}

int examine() {
  std::string text;
  bool well = doctor(text);
  fmt::print("{}", text);
  return well ? kMet : kBroken;
}

struct ReportFiles {
  std::string page, json, junit, trace, capture, conformance;
};

// What can be made of runs, also of such as were read from a JSON report.
void add_report_options(CLI::App* app, ReportFiles& files) {
  app->add_option("--report", files.page, "Write the report as one HTML page");
  app->add_option("--json", files.json, "Write the report as JSON ('-': standard output)");
  app->add_option("--junit", files.junit, "Write the results as JUnit XML");
}

void add_outputs(const ReportFiles& files, Outputs& outputs) {
  outputs.add(html_report, files.page);
  outputs.add(json_report, files.json);
  outputs.add(junit_report, files.junit);
  outputs.add(trace_report, files.trace);
  outputs.add(capture_report, files.capture);
  outputs.add(conformance_report, files.conformance);
}

int dispatch(int argc, char** argv) {
  CLI::App app{"A test yard for RDMA collectives.", "railyard"};
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 all expectations met, 1 some not met, 2 bad input, 3 the harness itself "
      "failed.");

  RunCommand run_command;
  uint64_t seed = 0;
  CLI::App* run_app = app.add_subcommand("run", "Run scenarios (all of scenarios/ by default)");
  run_app->add_option("paths", run_command.paths, "Scenario files and directories of them");
  ReportFiles files;
  add_report_options(run_app, files);
  run_app->add_option("--trace", files.trace, "Write a trace for ui.perfetto.dev or Chrome");
  run_app->add_option("--pcap", files.capture, "Write a packet capture for Wireshark (RoCEv2)");
  run_app->add_option("-j,--jobs", run_command.jobs, "Scenarios to run at a time (1)")
      ->check(CLI::Range(1, 256));
  std::string shard = "1/1";
  run_app->add_option("--shard", shard, "Run the i-th of n parts of the scenarios: i/n")
      ->check(check_shard, "i/n");
  run_app->add_option("--program", run_command.program,
                      "The executable that runs as the ranks of scenarios with a \"program\"");
  CLI::Option* seed_option = run_app->add_option("--seed", seed, "Seed of inputs and chances");
  run_app->add_flag("--keep", run_command.keep,
                    "Keep the run's directory: outputs, results, matrix");
  run_app->add_flag("-v,--verbose", run_command.verbose,
                    "The whole story of scenarios that pass, too");
  CLI::Option* hosts = run_app->add_option("--hosts", run_command.hosts.file,
                                           "Run on real machines: an MLX hostfile");
  run_app->add_option("--launcher", run_command.hosts.launcher, "What starts ranks on the hosts")
      ->needs(hosts)
      ->check(CLI::IsMember({"ssh", "mpirun", "srun"}));
  run_app
      ->add_option("--conformance", files.conformance,
                   "Write what the hosts' devices did against their profiles, as JSON")
      ->needs(hosts);
  run_app
      ->add_option("--hand", run_command.hosts.hand_command,
                   "A command that moves plugs when somebody would be asked to")
      ->needs(hosts);

  CLI::App* report_app = app.add_subcommand("report", "Work on the reports of runs");
  report_app->require_subcommand(1);
  MergeCommand merge_command;
  ReportFiles merged_files;
  CLI::App* merge_app =
      report_app->add_subcommand("merge", "Join the JSON reports of a suite's shards");
  merge_app->add_option("reports", merge_command.files, "What `railyard run --json` wrote")
      ->required();
  add_report_options(merge_app, merged_files);

  AuditCommand audit_command;
  CLI::App* audit_app =
      app.add_subcommand("audit", "Run the known bugs and their healthy twins: what was caught?");
  audit_app->add_option("paths", audit_command.paths,
                        "Scenario files and directories (scenarios/known-bugs by default)");
  CLI::Option* audit_seed = audit_app->add_option("--seed", seed, "Seed of inputs and chances");
  audit_app->add_option("--repeat", audit_command.repeat, "So many times, each with the next seed")
      ->check(CLI::Range(1, 100000));

  ExecOptions exec_options;
  CLI::App* exec_app =
      app.add_subcommand("exec", "Run any verbs program as the ranks of a cluster");
  exec_app->add_option("-n,--ranks", exec_options.ranks, "How many ranks, one per node")
      ->check(CLI::Range(1, 1024));
  CLI::Option* profile = exec_app->add_option("--profile", exec_options.profile,
                                              "Device profile (permissive by default)");
  exec_app->add_option("--cluster", exec_options.cluster_file, "A cluster's or scenario's file")
      ->excludes(profile);
  exec_app->add_option("--link", exec_options.link,
                       "Shapes every cable: latency=5us,bandwidth=5GB/s,loss=0.01,...");
  exec_app->add_flag("--launcher", exec_options.launcher,
                     "The program starts the ranks itself, as mpirun does: run it once");
  exec_app->add_option("program", exec_options.command, "Program and arguments, after --")
      ->required();
  exec_app->footer(
      "In the arguments {rank}, {size}, {node}, {port} are replaced. For a server and its client, "
      "use\n"
      "{peer}: rank 0 runs without the arguments that contain it, the others get 127.0.0.1 there "
      "and\n"
      "start when rank 0 listens:  railyard exec -n 2 --profile connectx -- ibv_rc_pingpong "
      "{peer}");

  BenchOptions bench_options;
  CLI::App* bench_app =
      app.add_subcommand("bench", "Latency and bandwidth of the runtime's operations");
  bench_app->add_option("op", bench_options.operation,
                        fmt::format("One of {}", fmt::join(bench_operations(), ", ")));
  bench_app->add_option("-n,--ranks", bench_options.ranks, "How many ranks, one per node")
      ->check(CLI::Range(2, 256));
  bench_app->add_option("--profile", bench_options.profile, "Device profile");
  bench_app->add_option("--cluster", bench_options.cluster_file, "A cluster's or scenario's file");
  bench_app->add_option("--rails", bench_options.rails, "Cables between two nodes, without --cluster")
      ->check(CLI::Range(1, 4));
  bench_app->add_option("--link", bench_options.link, "Shapes every cable, as for exec");
  bench_app->add_option("--backend", bench_options.backend, "mesh, ring, tcp, tcp-ring, local or any");
  bench_app->add_option("--dtype", bench_options.dtype, "float32, float16, bfloat16, int32, ...");
  bench_app->add_option("--min", bench_options.least, "The smallest size");
  bench_app->add_option("--max", bench_options.most, "The largest size");
  bench_app->add_option("--factor", bench_options.factor, "From one size to the next")
      ->check(CLI::Range(2, 1 << 20));
  bench_app->add_option("--seconds", bench_options.seconds, "How long to measure each size, about")
      ->check(CLI::Range(0.001, 60.0));
  bench_app->add_option("--against", bench_options.against,
                        "Measure a peer by turns and compare: mpi (over shared memory), or "
                        "one-rail (the same on one cable of several)");
  bench_app->add_option("--rounds", bench_options.rounds, "How many turns")
      ->check(CLI::Range(1, 100));

  TopologyCommand topology_command;
  add_topology(app, topology_command);

  std::vector<std::string> list_paths;
  CLI::App* list_app = app.add_subcommand("list", "List scenarios with their expected verdicts");
  list_app->add_option("paths", list_paths, "Scenario files and directories of them");

  std::string verdict;
  CLI::App* explain_app =
      app.add_subcommand("explain", "Say what a verdict means and what mends it");
  explain_app->add_option("verdict", verdict, "A verdict's name")->required();

  std::string schema = "scenario";
  CLI::App* schema_app =
      app.add_subcommand("schema", "Print the JSON Schema of scenarios or of reports");
  schema_app->add_option("of", schema, "scenario or report")
      ->check(CLI::IsMember({"scenario", "report"}));
  CLI::App* doctor_app =
      app.add_subcommand("doctor", "Check this machine; remove what killed runs left");

  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (argc > 1 && argv[1][0] != '-' &&
      std::find(commands.begin(), commands.end(), argv[1]) == commands.end()) {
    fmt::print(stderr, "railyard: there is no command '{}'; {}\n", argv[1],
               suggest(argv[1], commands));
    return kBadInput;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "railyard: {}; see railyard --help\n", error.what());
    return kBadInput;
  }
  run_command.shard = read_shard(shard);
  if (*seed_option) run_command.seed = seed;
  if (*audit_seed) audit_command.seed = seed;
  add_outputs(files, run_command.outputs);
  add_outputs(merged_files, merge_command.outputs);
  exec_options.interrupt = &interrupted;
  bench_options.interrupt = &interrupted;

  // Before there are threads and fabrics.
  if (*run_app || *audit_app || *exec_app || *bench_app || *doctor_app ||
      topology_command.starts_processes) {
    Guard::start();
  }
  listen_to_signals();
  if (*run_app) return run(run_command);
  if (*merge_app) return merge(merge_command);
  if (*audit_app) return audit(audit_command);
  if (*exec_app) return exec_program(exec_options);
  if (*bench_app) return bench(bench_options);
  if (topology_command.action) return topology_command.action();
  if (*list_app) return list(list_paths);
  if (*explain_app) return explain(verdict);
  if (*schema_app) fmt::print("{}", schema == "report" ? report_schema() : scenario_schema());
  if (*doctor_app) return examine();
  return kMet;
}

}  // namespace

}  // namespace railyard::cli

int main(int argc, char** argv) {
  try {
    return railyard::cli::dispatch(argc, argv);
  } catch (const railyard::harness::InputError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return railyard::cli::kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "railyard: {}\n", error.what());
    return railyard::cli::kBroken;
  }
}
