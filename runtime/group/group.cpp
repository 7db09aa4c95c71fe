#include "railyard/group.h"

#include "group/connected_group.h"
#include "group/local_group.h"

namespace railyard {

std::unique_ptr<Group> Group::create(const Config& config) {
  config.check();
  if (config.size() == 1) return std::make_unique<LocalGroup>("there is one rank");
  std::string reason;
  Backend backend = config.choose_backend(&reason);
  return std::make_unique<ConnectedGroup>(config, backend, std::move(reason));
}

std::unique_ptr<Group> init(bool strict) {
  if (auto config = Config::from_environment()) return Group::create(*config);
  if (!strict) return nullptr;
  throw ConfigurationError(
      "environment", "",
      "JACCL_RANK, JACCL_COORDINATOR and JACCL_IBV_DEVICES are not set; set them "
      "for every rank, or start this program with a launcher that does");
}

}  // namespace railyard
