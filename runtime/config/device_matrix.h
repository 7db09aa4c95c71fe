// Reading and checking of device matrices.
#pragma once

#include <string>

#include "config/json_source.h"
#include "railyard/config.h"

namespace railyard::config {

// One cell: null, a name, or an array of names.
std::vector<std::string> parse_cell(const JsonSource& source, const nlohmann::json& cell,
                                    const std::string& place);

// Throws ConfigurationError unless the matrix is square, has an empty diagonal and as many rails
// from rank i to j as from j to i.
void check_matrix(const std::string& file, const DeviceMatrix& matrix);

}  // namespace railyard::config
