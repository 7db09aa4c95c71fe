#!/usr/bin/env bash
# Builds without what only Linux has, as for other systems, and runs the tests that this touches.
# Arguments go to ctest.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

RAILYARD_BUILD=$root/build-portable "$root/tools/build.sh" -DRAILYARD_PORTABLE=ON
exec ctest --test-dir "$root/build-portable" --output-on-failure -j2 "$@"
