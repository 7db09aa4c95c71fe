#!/usr/bin/env bash
# Sets up, builds and runs every test. Arguments go to ctest: test.sh -R queue_pair
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$root/tools/setup.sh"
"$root/tools/build.sh"
exec ctest --test-dir "$root/build" --output-on-failure -j2 "$@"
