#!/usr/bin/env bash
# Sets up, builds, and runs every scenario in scenarios/ on simulated clusters; the report goes to
# build/report/scenarios.json. Arguments replace the scenarios: run.sh scenarios/cable-swap.json
# The exit code is that of `railyard run`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$root/tools/setup.sh"
"$root/tools/build.sh"
mkdir -p "$root/build/report"
if [ $# -eq 0 ]; then set -- "$root/scenarios"; fi
exec "$root/build/bin/railyard" run --json "$root/build/report/scenarios.json" "$@"
