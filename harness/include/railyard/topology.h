// Cables, and what groups can be made of them: device matrices and hostfiles that fit the cables,
// mistakes in those that do not, drawings.
//
// A cluster's cables are the truth here. They come from a cluster's or scenario's file, from the
// command line ("A:en6-B:en7"), or from what hosts report. Functions are thread-safe, start nothing
// and throw InputError for bad input.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "railyard/scenario.h"

namespace railyard::harness {

// What a group needs of the cables. any: a ring where a pair has more than one rail and there is a
// ring, else a mesh, else a ring; the order in which JACCL's users choose.
enum class Shape { any, mesh, ring };

// "any", "mesh", "ring".
Shape parse_shape(const std::string& text);
const char* name(Shape shape);

// One cable a text: "A:en6-B:en7" or "A/en6-B/en7"; a host's name may hold dashes, a device's may
// not. Hosts are numbered in the order in which they are first named.
fabric::ClusterSpec cluster_of_cables(const std::vector<std::string>& texts);

// Whether a message gets from a device of host a to one of host b.
using Joined =
    std::function<bool(size_t a, const std::string& device, size_t b, const std::string& other)>;

// The cables between hosts, found by trying. A device that reaches two others is plugged into a
// switch.
fabric::ClusterSpec match_cables(const std::vector<fabric::NodeSpec>& hosts, const Joined& joined);

// What can be read about a group: whatever is not given is empty.
struct Topology {
  std::string file;                            // as errors name it
  std::vector<std::string> hosts;              // one per rank
  std::optional<DeviceMatrix> matrix;          // may break every rule but the type of its cells
  std::optional<fabric::ClusterSpec> cluster;  // the cables, and the devices of each host
  std::vector<Host> machines;                  // of a hostfile
  std::string rows;                            // how the place of row i begins: "" or "hosts/"
};

// A device matrix, a hostfile, or a cluster's or scenario's file, told apart by their shape.
Topology load_topology(const std::string& file);

// The cables: those of the cluster, or those that the matrix implies, where rail k of (i, j) and of
// (j, i) are the ends of one. Devices that stand in several cells of a row are cabled to a switch.
fabric::ClusterSpec cluster_of(const Topology& topology);

// A device matrix that fits the cables.
struct Plan {
  Shape shape = Shape::mesh;         // never any
  fabric::ClusterSpec cluster;       // the nodes in the order of the ranks
  DeviceMatrix matrix;               // rail k of (i, j) and of (j, i) are the ends of one cable
  std::vector<std::string> remarks;  // ranks in another order than given, cables left out
};

// For a ring the ranks are put in an order in which neighbours are cabled, the given one if that
// is one, and as many rails are taken as every neighbour has. Throws InputError where the cables
// make no such group, naming what is missing.
Plan plan_group(const std::string& file, const fabric::ClusterSpec& cluster, Shape shape);

// An MLX hostfile of the plan; `machines` give ssh names and addresses to hosts of the same name.
std::string hostfile_text(const Plan& plan, const std::vector<Host>& machines);

// A cluster's file.
std::string cluster_text(const fabric::ClusterSpec& cluster);

struct Finding {
  bool error = true;  // false: it works, but something is wasted or unsure
  std::string place;  // the cell, "1/0", or empty
  std::string text;   // what is wrong, and after ';' what mends it
};

struct Inspection {
  std::vector<Finding> findings;              // errors first
  std::set<std::pair<size_t, size_t>> cells;  // those with errors
  std::string backend;  // the one that was asked for, or that "any" takes: mesh, ring or tcp
  std::string reason;   // why "any" takes it
  std::string budget;   // what it takes of the profile's limits; empty: they are not known
  bool sound() const;   // no errors
};

// Holds a matrix against the cables (where they are known), the shape that is wanted and the
// budget of the devices. `profile` is a profile's name; empty: the one whose devices are named like
// these.
Inspection inspect(const Topology& topology, const std::optional<fabric::ClusterSpec>& cables,
                   Shape shape, const std::string& profile);

// Of the shipped profiles the one whose devices are named like these; empty: none.
std::string profile_for(const std::vector<std::string>& devices);

// A drawing for Graphviz: hosts, and a line per cable, or per rail of a matrix, coloured by rail.
// Cells with errors are dashed.
std::string draw_dot(const Topology& topology, const Inspection* inspection = nullptr);
// The same as SVG. Needs Graphviz' program `dot`; throws InputError when it is not there.
std::string draw_svg(const std::string& dot);

}  // namespace railyard::harness
