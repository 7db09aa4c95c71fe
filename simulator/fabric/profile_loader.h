// From a profile's JSON to its rules.
#pragma once

#include <string>

#include "fabric/profile.h"

namespace railyard::fabric {

// The rules of a shipped profile or a profile's file with `overrides` (a JSON object, or empty) merged
// over them. Throws fabric::Error naming the field ("profile connectx: rules/max_sge: ...").
Profile load_profile(const std::string& name_or_path, const std::string& overrides);

}  // namespace railyard::fabric
