// Device matrices: made from cables, or read as JACCL reads them.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "railyard/nearest.h"
#include "scenario/sections.h"
#include "topology/cabling.h"

namespace railyard::harness {

namespace {

std::vector<std::string> read_cell(const Reader& cell) {
  if (cell.is_null()) return {};
  if (cell.is_text()) return {cell.text()};
  if (!cell.is_array()) cell.fail("a cell is null, a device's name, or an array of names");
  return cell.texts();
}

}  // namespace

DeviceMatrix read_cells(const Reader& reader) {
  std::vector<Reader> rows = reader.elements();
  DeviceMatrix matrix;
  for (const Reader& row : rows) {
    std::vector<Reader> cells = row.elements();
    if (cells.size() != rows.size()) {
      row.fail(
          fmt::format("the matrix is not square: this row has {} cells, there are {} rows; "
                      "write one cell per rank",
                      cells.size(), rows.size()));
    }
    matrix.emplace_back();
    for (const Reader& cell : cells) matrix.back().push_back(read_cell(cell));
  }
  return matrix;
}

DeviceMatrix read_matrix(const Reader& reader, int ranks,
                         const std::vector<fabric::NodeSpec>* nodes) {
  std::vector<Reader> rows = reader.elements();
  if (rows.size() != static_cast<size_t>(ranks)) {
    reader.fail(fmt::format("the matrix has {} rows for {} ranks; write one row per rank",
                            rows.size(), ranks));
  }
  DeviceMatrix matrix = read_cells(reader);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<Reader> cells = rows[i].elements();
    if (!matrix[i][i].empty()) cells[i].fail("a rank has no device to itself; write null");
    if (nodes == nullptr) continue;
    const std::vector<std::string>& known = (*nodes)[i].devices;
    for (size_t j = 0; j < cells.size(); ++j) {
      for (const std::string& device : matrix[i][j]) {
        if (std::find(known.begin(), known.end(), device) != known.end()) continue;
        cells[j].fail(fmt::format("{} has no device '{}'; {}", (*nodes)[i].name, device,
                                  suggest(device, known)));
      }
    }
  }
  return matrix;
}

DeviceMatrix load_matrix(const std::string& file, int ranks) {
  return parse_matrix(file, read_file(file), ranks);
}

DeviceMatrix parse_matrix(const std::string& file, const std::string& text, int ranks) {
  Json json = parse_json(file, text);
  return read_matrix(Reader(file, "", json), ranks);
}

DeviceMatrix matrix_of(const fabric::ClusterSpec& spec, int rails) {
  size_t size = spec.nodes.size();
  DeviceMatrix matrix(size, std::vector<std::vector<std::string>>(size));
  auto join = [&](const Plug& a, const Plug& b) {
    if (a.node < 0 || b.node < 0 || a.node == b.node) return;
    auto& there = matrix[static_cast<size_t>(a.node)][static_cast<size_t>(b.node)];
    auto& back = matrix[static_cast<size_t>(b.node)][static_cast<size_t>(a.node)];
    if (rails > 0 && there.size() >= static_cast<size_t>(rails)) return;
    // Both cells grow in one step, so that rail k of either is the same cable.
    there.push_back(a.device);
    back.push_back(b.device);
  };

  std::map<std::string, std::map<int, std::vector<Plug>>> switched;
  for (const fabric::CableSpec& cable : spec.cables) {
    Plug a = plug_of(spec, cable.ends[0]), b = plug_of(spec, cable.ends[1]);
    join(a, b);
    if (a.node >= 0 && b.node < 0) switched[cable.ends[1]][a.node].push_back(a);
    if (b.node >= 0 && a.node < 0) switched[cable.ends[0]][b.node].push_back(b);
  }
  for (const auto& [name, nodes] : switched) {
    for (auto first = nodes.begin(); first != nodes.end(); ++first) {
      for (auto second = std::next(first); second != nodes.end(); ++second) {
        size_t count = std::min(first->second.size(), second->second.size());
        for (size_t k = 0; k < count; ++k) join(first->second[k], second->second[k]);
      }
    }
  }
  return matrix;
}

std::string matrix_text(const DeviceMatrix& matrix) {
  Json json = Json::array();
  for (const auto& row : matrix) {
    Json cells = Json::array();
    for (const auto& cell : row) {
      if (cell.empty()) {
        cells.push_back(nullptr);
      } else if (cell.size() == 1) {
        cells.push_back(cell[0]);
      } else {
        cells.push_back(cell);
      }
    }
    json.push_back(std::move(cells));
  }
  return json.dump();
}

}  // namespace railyard::harness
