// The sections of a scenario, each read and checked by its own file.
#pragma once

#include "railyard/scenario.h"
#include "scenario/reader.h"

namespace railyard::harness {

Cluster read_cluster(const Reader& reader);
fabric::LinkModel read_link(const Reader& reader);
GroupPlan read_group(const Reader& reader, const Cluster& cluster);
std::vector<VariablePlan> read_environment(const Reader& reader);
std::vector<OperationPlan> read_workload(const Reader& reader, int ranks);
std::vector<FaultPlan> read_faults(const Reader& reader, const Scenario& scenario);
Expectation read_expectation(const Reader& reader, int ranks, std::vector<FaultPlan>& faults);

// Square, `ranks` wide, cells null, a name or an array of names; each name a device of its node
// when `nodes` are given.
DeviceMatrix read_matrix(const Reader& reader, int ranks,
                         const std::vector<fabric::NodeSpec>* nodes = nullptr);

// The cells of a device matrix, which is square; whether they make sense together is not checked.
DeviceMatrix read_cells(const Reader& reader);
// A hostfile's hosts likewise.
std::vector<Host> read_hosts(const Reader& reader);
// Those of a hostfile whose hosts have no rail to themselves, and every rail its way back.
std::vector<Host> read_cabled_hosts(const Reader& reader);
// Where the hosts stand in it.
Reader list_of_hosts(const Reader& reader);

// A path written in `file`, which is relative to that file's directory.
std::string beside(const std::string& file, const std::string& path);

// Checks against the JSON Schema what the sections have not: a net under them.
void check_against_schema(const std::string& file, const std::string& text);

}  // namespace railyard::harness
