#!/usr/bin/env bash
# Sets up, builds, and runs every scenario in scenarios/ on simulated clusters. The report is
# build/report/index.html; beside it lie scenarios.json and junit.xml. Arguments replace the scenarios:
# run.sh scenarios/cable-swap.json. The exit code is that of `railyard run`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$root/tools/setup.sh"
"$root/tools/build.sh"
report=$root/build/report
mkdir -p "$report"
if [ $# -eq 0 ]; then set -- "$root/scenarios"; fi
code=0
"$root/build/bin/railyard" run --report "$report/index.html" --json "$report/scenarios.json" \
  --junit "$report/junit.xml" "$@" || code=$?
if [ $code -le 1 ]; then echo "run: the report is $report/index.html"; fi
exit $code
