#include "config/device_matrix.h"

#include <fmt/format.h>

#include <algorithm>

#include "railyard/error.h"

namespace railyard {

namespace config {

namespace {

std::string place_of(size_t row, size_t column) {
  return fmt::format("row {}, column {}", row, column);
}

std::string parse_name(const JsonSource& source, const nlohmann::json& value,
                       const std::string& place) {
  if (!value.is_string()) {
    source.fail(place, fmt::format("holds {}; a cell is null, a device name or an array of names",
                                   type_with_article(value)));
  }
  auto name = value.get<std::string>();
  if (name.empty()) source.fail(place, "holds an empty name; write null where there is no device");
  return name;
}

}  // namespace

std::vector<std::string> parse_cell(const JsonSource& source, const nlohmann::json& cell,
                                    const std::string& place) {
  if (cell.is_null()) return {};
  if (!cell.is_array()) return {parse_name(source, cell, place)};
  std::vector<std::string> rails;
  for (const auto& element : cell) {
    std::string name = parse_name(source, element, place);
    if (std::find(rails.begin(), rails.end(), name) != rails.end()) {
      source.fail(place, fmt::format("names {} twice; each rail is a device of its own", name));
    }
    rails.push_back(std::move(name));
  }
  return rails;
}

void check_matrix(const std::string& file, const DeviceMatrix& matrix) {
  size_t size = matrix.size();
  if (size == 0) {
    throw ConfigurationError(file, "", "has no rows; write one row and one column for each rank");
  }
  for (size_t i = 0; i < size; ++i) {
    if (matrix[i].size() != size) {
      throw ConfigurationError(
          file, fmt::format("row {}", i),
          fmt::format("has {} cells in a matrix of {} rows; a device matrix is square",
                      matrix[i].size(), size));
    }
  }
  for (size_t i = 0; i < size; ++i) {
    if (!matrix[i][i].empty()) {
      throw ConfigurationError(
          file, place_of(i, i),
          fmt::format("names {}, but a rank has no device to itself; write null on the diagonal",
                      matrix[i][i].front()));
    }
    for (size_t j = i + 1; j < size; ++j) {
      size_t there = matrix[i][j].size(), back = matrix[j][i].size();
      if (there == back) continue;
      throw ConfigurationError(
          file, place_of(i, j),
          fmt::format("has {} rails, but {} has {}; list both ends of every cable", there,
                      place_of(j, i), back));
    }
  }
}

}  // namespace config

DeviceMatrix load_device_matrix(const std::string& path) {
  config::JsonSource source = config::read_json(path, "device matrix");
  const auto& document = source.document;
  if (document.is_object() && document.contains("hosts")) {
    source.fail("", "is a hostfile; a device matrix is an array with one array for each rank");
  }
  if (!document.is_array()) {
    source.fail("",
                fmt::format("holds {}; a device matrix is an array with one array for each rank",
                            config::type_with_article(document)));
  }
  DeviceMatrix matrix;
  for (size_t i = 0; i < document.size(); ++i) {
    const auto& row = document[i];
    if (!row.is_array()) {
      source.fail(fmt::format("row {}", i),
                  fmt::format("holds {}; each row is an array with one cell for each rank",
                              config::type_with_article(row)));
    }
    auto& cells = matrix.emplace_back();
    for (size_t j = 0; j < row.size(); ++j) {
      cells.push_back(config::parse_cell(source, row[j], config::place_of(i, j)));
    }
  }
  config::check_matrix(source.file, matrix);
  return matrix;
}

}  // namespace railyard
