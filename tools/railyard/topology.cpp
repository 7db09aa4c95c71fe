#include "topology.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "railyard/bench.h"
#include "railyard/hosts.h"
#include "railyard/topology.h"
#include "run.h"

namespace railyard::cli {

namespace {

using namespace railyard::harness;

// What all four commands are told: a file, or cables.
struct Source {
  std::string file;
  std::vector<std::string> cables;
  std::string shape = "any";

  void add(CLI::App* app, const char* what) {
    app->add_option("file", file, what);
    app->add_option("--cable", cables, "A cable: host:device-host:device, as A:en6-B:en7")
        ->allow_extra_args(false);
    app->add_option("--backend", shape, "The group that is wanted: any, mesh or ring");
  }

  // How errors name it.
  std::string name() const { return file.empty() ? "--cable" : file; }

  void check(bool both_allowed) const {
    if (file.empty() && cables.empty()) {
      throw InputError("railyard topology", "", "nothing to read; name a file, or give --cable");
    }
    if (!both_allowed && !file.empty() && !cables.empty()) {
      throw InputError("railyard topology", "", "a file or --cable, not both; drop one of them");
    }
  }

  // The cables of a cluster's file, or those that a matrix or hostfile implies.
  fabric::ClusterSpec cluster() const {
    check(false);
    if (file.empty()) return cluster_of_cables(cables);
    return cluster_of(load_topology(file));
  }
};

void write_out(const std::string& file, const std::string& text) {
  Outputs::write_text(file.empty() ? "-" : file, text);
}

// The cables between the hosts of a file, asked of the hosts. Nothing when some cannot be used:
// that has been said, and `code` is what the program ends with.
std::optional<fabric::ClusterSpec> ask_hosts(const std::string& file, int& code) {
  HostOptions options;
  options.file = file;
  options.devices_needed = false;
  Hosts hosts(options);
  Hosts::Preflight preflight = hosts.preflight();
  for (const std::string& problem : preflight.problems) fmt::print(stderr, "{}\n", problem);
  code = preflight.bad_input ? kBadInput : kBroken;
  if (!preflight.problems.empty()) return {};
  Discovery found = discover(hosts);
  fmt::print(stderr, "{}", found.table);
  return found.cluster;
}

struct Discover {
  std::string hosts, output;

  int run() const {
    int code = kMet;
    std::optional<fabric::ClusterSpec> cluster = ask_hosts(hosts, code);
    if (!cluster) return code;
    fmt::print(stderr, "{} cables\n", cluster->cables.size());
    write_out(output, cluster_text(*cluster));
    return kMet;
  }
};

struct Make {
  Source source;
  std::string format = "matrix", output, hosts;

  int run() const {
    fabric::ClusterSpec cluster = source.cluster();
    std::vector<Host> machines;
    if (!hosts.empty()) machines = load_hostfile(hosts);
    Plan plan = plan_group(source.name(), cluster, parse_shape(source.shape));
    fmt::print(stderr, "a {} of {}\n", name(plan.shape), plan.matrix.size());
    for (const std::string& remark : plan.remarks) fmt::print(stderr, "  {}\n", remark);
    write_out(output, format == "hostfile"  ? hostfile_text(plan, machines)
                      : format == "cluster" ? cluster_text(plan.cluster)
                                            : matrix_text(plan.matrix) + "\n");
    return kMet;
  }
};

struct Check {
  Source source;
  std::string cables_file, hosts, profile;

  Inspection inspect(const Topology& topology,
                     std::optional<fabric::ClusterSpec> cables = {}) const {
    if (!topology.matrix) {
      throw InputError(source.file, "", "has no device matrix to check; give a matrix or hostfile");
    }
    if (!source.cables.empty() + !cables_file.empty() + !hosts.empty() > 1) {
      throw InputError("railyard topology", "check",
                       "--cable, --cables or --hosts, not two of them; drop one");
    }
    if (!source.cables.empty()) cables = cluster_of_cables(source.cables);
    if (!cables_file.empty()) cables = load_cluster(cables_file).spec;
    return harness::inspect(topology, cables, parse_shape(source.shape), profile);
  }

  int run() const {
    if (source.file.empty()) {
      throw InputError("railyard topology", "check", "name a device matrix or a hostfile");
    }
    Topology topology = load_topology(source.file);
    std::optional<fabric::ClusterSpec> asked;
    int code = kMet;
    if (!hosts.empty() && !(asked = ask_hosts(hosts, code))) return code;
    Inspection found = inspect(topology, asked);
    for (const Finding& finding : found.findings) {
      fmt::print("{}: {}{}{}\n", finding.error ? "error" : "note", finding.place,
                 finding.place.empty() ? "" : ": ", finding.text);
    }
    if (found.sound())
      fmt::print("{} of {}: {}\n", found.backend, topology.hosts.size(), found.reason);
    if (!found.budget.empty()) fmt::print("{}\n", found.budget);
    return found.sound() ? kMet : kNotMet;
  }
};

struct Draw {
  Check check;
  std::string format = "dot", output;

  int run() const {
    check.source.check(true);
    Topology topology;
    if (check.source.file.empty()) {
      topology.cluster = cluster_of_cables(check.source.cables);
    } else {
      topology = load_topology(check.source.file);
    }
    std::optional<Inspection> found;
    if (topology.matrix) found = check.inspect(topology);
    std::string dot = draw_dot(topology, found ? &*found : nullptr);
    write_out(output, format == "svg" ? draw_svg(dot) : dot);
    return kMet;
  }
};

struct Predict {
  Source source;
  BenchOptions bench;
  std::vector<std::string> operations;

  int run() {
    Plan plan = plan_group(source.name(), source.cluster(), parse_shape(source.shape));
    Cluster cluster{plan.cluster, static_cast<int>(plan.cluster.nodes.size()), {}};
    if (bench.link.empty()) {
      cluster.link = fabric::measured_link(plan.cluster.profile);
      cluster.link->loss = 0;  // a prediction of the usual case
    }
    bench.ranks = cluster.ranks;
    bench.cluster = cluster;
    bench.backend = name(plan.shape);
    bench.interrupt = &interrupted;
    for (const std::string& operation : operations) {
      bench.operation = operation;
      if (int code = harness::bench(bench)) return code;
    }
    return kMet;
  }
};

}  // namespace

void add_topology(CLI::App& app, TopologyCommand& command) {
  CLI::App* topology =
      app.add_subcommand("topology", "Make, check, draw and predict cables and device matrices");
  topology->require_subcommand(1);

  auto make = std::make_shared<Make>();
  CLI::App* made = topology->add_subcommand(
      "make", "From cables, a device matrix or hostfile whose rails are whole cables");
  make->source.add(made, "A cluster's or scenario's file");
  made->add_option("--format", make->format, "matrix, hostfile or cluster")
      ->check(CLI::IsMember({"matrix", "hostfile", "cluster"}));
  made->add_option("--machines", make->hosts, "A hostfile that has the addresses of the hosts");
  made->add_option("-o,--output", make->output, "A file instead of standard output");
  made->callback([&command, make] { command.action = [make] { return make->run(); }; });

  auto check = std::make_shared<Check>();
  CLI::App* checked = topology->add_subcommand(
      "check", "Hold a device matrix or hostfile against cables, a group's needs and the devices");
  check->source.add(checked, "A device matrix or a hostfile");
  checked->add_option("--cables", check->cables_file, "A cluster's file with the cables");
  checked->add_option("--profile", check->profile, "The devices' profile (by their names)")
      ->check(CLI::IsMember(fabric::shipped_profiles()));
  checked->add_option("--hosts", check->hosts, "A hostfile: ask the machines how they are cabled");
  checked->callback([&command, check] {
    command.starts_processes = !check->hosts.empty();
    command.action = [check] { return check->run(); };
  });

  auto discover = std::make_shared<Discover>();
  CLI::App* discovered = topology->add_subcommand(
      "discover", "Ask machines what devices they have, and find the cables between them");
  discovered->add_option("--hosts", discover->hosts, "A hostfile")->required();
  discovered->add_option("-o,--output", discover->output, "A file instead of standard output");
  discovered->callback([&command, discover] {
    command.starts_processes = true;
    command.action = [discover] { return discover->run(); };
  });

  auto draw = std::make_shared<Draw>();
  CLI::App* drawn = topology->add_subcommand("draw", "Draw cables or a matrix, rails coloured");
  draw->check.source.add(drawn, "A cluster's file, a device matrix or a hostfile");
  drawn->add_option("--cables", draw->check.cables_file, "Cables to hold a matrix against");
  drawn->add_option("--format", draw->format, "dot (Graphviz) or svg")
      ->check(CLI::IsMember({"dot", "svg"}));
  drawn->add_option("-o,--output", draw->output, "A file instead of standard output");
  drawn->callback([&command, draw] { command.action = [draw] { return draw->run(); }; });

  auto predict = std::make_shared<Predict>();
  CLI::App* predicted = topology->add_subcommand(
      "predict", "Latency and bandwidth on these cables, by running on simulated ones");
  predict->source.add(predicted, "A cluster's file, a device matrix or a hostfile");
  predict->operations = {"all_sum", "all_gather", "send_recv"};
  predict->bench.least = "4KiB";
  predict->bench.most = "16MiB";
  predict->bench.factor = 8;
  predicted->add_option("--op", predict->operations, "Operations, as for bench");
  predicted->add_option(
      "--link", predict->bench.link,
      "How cables are: latency=5us,bandwidth=5GB/s (as the profile was measured)");
  predicted->add_option("--dtype", predict->bench.dtype, "As for bench");
  predicted->add_option("--min", predict->bench.least, "The smallest size");
  predicted->add_option("--max", predict->bench.most, "The largest size");
  predicted->add_option("--factor", predict->bench.factor, "From one size to the next")
      ->check(CLI::Range(2, 1 << 20));
  predicted->add_option("--seconds", predict->bench.seconds, "How long to measure each, about")
      ->check(CLI::Range(0.001, 60.0));
  predicted->callback([&command, predict] {
    command.starts_processes = true;
    command.action = [predict] { return predict->run(); };
  });
}

}  // namespace railyard::cli
