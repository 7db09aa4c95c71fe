#!/usr/bin/env bash
# Builds without what only Linux has, as for other systems, and runs the tests that this touches: the simulator's and
# the runtime's, and the scenarios. Arguments go to ctest instead of this choice.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-portable

RAILYARD_BUILD=$build "$root/tools/build.sh" -DRAILYARD_PORTABLE=ON
if [ $# -gt 0 ]; then exec ctest --test-dir "$build" --output-on-failure -j2 "$@"; fi

chosen='^(simulator\.([A-Z]|abi|kill)|runtime\.|scenario\.|harness\.(Observer|ProcessState|Relay|NobodyInTheFabric))'

# What needs what is switched off. Why a process sleeps outside of verbs is known on Linux alone: these runs, in which a
# rank waits in a socket, end by their deadline and not by the verdict that they expect.
left='scenario\.(recv-prefill-deadlock|recv-prefill-race-drop|ds4-1024|exo-1712|hellas-77|mlx-3033|mlx-3388|mlx-3755|mlx-4060|mlx-4278|mlx-4281|oneccl-209)$'
# A file system that is full is told by fallocate alone, before the memory is touched.
left+='|CrowdTest\.AFullFileSystem'
# Memory is laid in large pages at one's wish on Linux alone.
left+='|HotMemoryTest\..*LiesInLargePages'
# Memory of another process is reached on Linux alone.
left+='|ReachTest|ReachRefusalTest|TakingBackTest'
exec ctest --test-dir "$build" --output-on-failure -j2 -R "$chosen" -E "$left"
