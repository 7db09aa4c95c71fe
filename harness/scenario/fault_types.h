// The kinds of fault by name, and how a scenario's text becomes plans of them.
#pragma once

#include <string>
#include <vector>

#include "railyard/scenario.h"
#include "scenario/reader.h"

namespace railyard::harness {

// Which triggers the fabric fires by itself; everything else may have any trigger.
enum class FaultFamily { other, verb, message };

struct FaultType {
  FaultKind kind;
  const char* name;
  FaultFamily family;
  std::vector<std::string> keys;  // beside when, do, expect, chance and repeat
};

const std::vector<FaultType>& fault_types();

Trigger read_trigger(const Reader& when, const FaultType& type, const Scenario& scenario);

// The names of a cluster's parts, as a fault may name them.
std::vector<std::string> cable_names(const Scenario& scenario);
std::vector<std::string> node_names(const Scenario& scenario);
std::vector<std::string> device_names(const Scenario& scenario);  // "node0/rdma_en3"

std::string read_cable(const Reader& name, const Scenario& scenario);
int read_rank(const Reader& rank, const Scenario& scenario);
// Which end of the cable the named node or switch is: 0 or 1.
int read_end(const Reader& name, const std::string& cable, const Scenario& scenario);
std::string read_verb(const Reader& name);

// A fault's entry with all that it leaves to chance drawn from the seed: one entry for each time
// that it is repeated, none where its chance says so. `index` is its place among the faults.
std::vector<Json> draw_entry(const Reader& entry, size_t index, const Scenario& scenario);

}  // namespace railyard::harness
