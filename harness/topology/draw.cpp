// Drawings of cables and matrices, for Graphviz.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "platform/executable.h"
#include "railyard/process.h"
#include "railyard/topology.h"
#include "scenario/reader.h"
#include "topology/cabling.h"

namespace railyard::harness {

namespace {

// The palette of Okabe and Ito, which people who see no difference of red and green can read.
constexpr const char* kRailColours[] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7",
                                        "#56B4E9", "#D55E00", "#F0E442", "#000000"};

const char* colour(size_t rail) { return kRailColours[rail % std::size(kRailColours)]; }

std::string quoted(const std::string& text) { return Json(text).dump(); }

class Drawing {
 public:
  Drawing() : text_("graph cluster {\n") {
    text_ +=
        "  graph [layout=circo, mindist=2.4, splines=true, fontname=\"Helvetica\", "
        "outputorder=\"edgesfirst\"];\n"
        "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f4f4f4\", "
        "fontname=\"Helvetica\"];\n"
        "  edge [penwidth=2, fontname=\"Helvetica\", fontsize=10, labeldistance=2.8];\n";
  }

  void host(const std::string& name) { text_ += fmt::format("  {};\n", quoted(name)); }
  void hub(const std::string& name) {
    text_ += fmt::format("  {} [shape=diamond];\n", quoted(name));
  }

  // A line from one device to another; an empty device has no label.
  void line(const std::string& a, const std::string& a_device, const std::string& b,
            const std::string& b_device, const std::string& label, size_t rail, bool wrong) {
    text_ += fmt::format(
        "  {} -- {} [taillabel={}, headlabel={}, label={}, color=\"{}\", "
        "labelfontcolor=\"{}\"{}];\n",
        quoted(a), quoted(b), quoted(a_device), quoted(b_device), quoted(label), colour(rail),
        colour(rail), wrong ? ", style=dashed" : "");
  }

  std::string end() const { return text_ + "}\n"; }

 private:
  std::string text_;
};

std::string draw_cables(const fabric::ClusterSpec& cluster) {
  Drawing drawing;
  for (const fabric::NodeSpec& node : cluster.nodes) drawing.host(node.name);
  for (const std::string& name : cluster.switches) drawing.hub(name);
  auto place = [&](const Plug& plug) {
    return plug.node < 0
               ? std::pair(plug.device, std::string())
               : std::pair(cluster.nodes[static_cast<size_t>(plug.node)].name, plug.device);
  };
  std::map<std::pair<std::string, std::string>, size_t> rails;
  const Cabling cabling(cluster);
  for (const Cabling::Cable& cable : cabling.cables()) {
    auto [a, a_device] = place(cable.ends[0]);
    auto [b, b_device] = place(cable.ends[1]);
    size_t rail = rails[std::minmax(a, b)]++;
    drawing.line(a, a_device, b, b_device, cable.name, rail, false);
  }
  return drawing.end();
}

std::string draw_matrix(const Topology& topology, const Inspection* inspection) {
  Drawing drawing;
  const DeviceMatrix& matrix = *topology.matrix;
  for (const std::string& host : topology.hosts) drawing.host(host);
  for (size_t i = 0; i < matrix.size(); ++i) {
    for (size_t j = i + 1; j < matrix.size(); ++j) {
      bool wrong = inspection != nullptr &&
                   (inspection->cells.contains({i, j}) || inspection->cells.contains({j, i}));
      auto rail = [](const std::vector<std::string>& cell, size_t k) {
        return k < cell.size() ? cell[k] : "?";
      };
      for (size_t k = 0; k < std::max(matrix[i][j].size(), matrix[j][i].size()); ++k) {
        drawing.line(topology.hosts[i], rail(matrix[i][j], k), topology.hosts[j],
                     rail(matrix[j][i], k), "", k, wrong);
      }
    }
  }
  return drawing.end();
}

struct Closing {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Scratch = std::unique_ptr<std::FILE, Closing>;

}  // namespace

std::string draw_dot(const Topology& topology, const Inspection* inspection) {
  if (topology.cluster) return draw_cables(*topology.cluster);
  if (topology.matrix) return draw_matrix(topology, inspection);
  throw InputError(topology.file, "", "names no devices; give hosts their \"rdma\" rows");
}

std::string draw_svg(const std::string& dot) {
  std::string program = find_program("dot");
  if (program.empty()) {
    throw InputError("railyard topology", "draw",
                     "SVG needs Graphviz' program dot; install graphviz, or take --format dot");
  }
  Scratch in(std::tmpfile()), out(std::tmpfile());
  if (!in || !out) throw std::runtime_error("a temporary file cannot be made");
  std::fwrite(dot.data(), 1, dot.size(), in.get());
  std::rewind(in.get());
  Launch launch;
  launch.executable = program;
  launch.arguments = {"-Tsvg"};
  launch.input = fileno(in.get());
  launch.output = fileno(out.get());
  Process process(launch);
  std::optional<Ending> ending;
  while (!(ending = process.ending())) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  if (ending->exit != 0) throw std::runtime_error("dot could not draw the graph");
  std::string svg(static_cast<size_t>(lseek(launch.output, 0, SEEK_END)), '\0');
  std::rewind(out.get());
  svg.resize(std::fread(svg.data(), 1, svg.size(), out.get()));
  return svg;
}

}  // namespace railyard::harness
