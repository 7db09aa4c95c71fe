#include "fabric/own_node.h"

#include <cstdlib>
#include <cstring>

namespace railyard::fabric {

namespace {

// Open MPI; MPICH and its kin; PMIx; Slurm.
constexpr const char* kRanks[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};

std::optional<uint32_t> number_in(const char* text) {
  if (!text || *text == 0) return std::nullopt;
  char* end = nullptr;
  unsigned long number = strtoul(text, &end, 10);
  if (*end != 0 || number > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(number);
}

}  // namespace

std::optional<uint32_t> own_node(uint32_t nodes) {
  const char* named = getenv("RAILYARD_NODE");
  if (!named || strcmp(named, "rank") != 0) return number_in(named);
  for (const char* name : kRanks) {
    if (std::optional<uint32_t> rank = number_in(getenv(name))) return *rank % nodes;
  }
  return std::nullopt;
}

}  // namespace railyard::fabric
