#!/usr/bin/env bash
# Configures and builds into build/, or where RAILYARD_BUILD says. Arguments go to the configuring cmake
# (-DRAILYARD_SANITIZE=...).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${RAILYARD_BUILD:-$root/build}

# Builds of one tree share what they compile alike.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

# A generator, a compiler launcher and flags are chosen once, when build/ is new. Of debug information, functions and
# lines are enough for a backtrace; all of it costs a quarter of the time that the tests take to compile.
first=()
if [ ! -f "$build/CMakeCache.txt" ]; then
  first+=("-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG")
  if command -v ninja >/dev/null; then first+=(-G Ninja); fi
  if command -v ccache >/dev/null; then first+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
fi

jobs=$(getconf _NPROCESSORS_ONLN)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "build: configuring $build"
if ! cmake -S "$root" -B "$build" ${first[@]+"${first[@]}"} "$@" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi

echo "build: compiling with $jobs jobs"
quiet=()
if [ -f "$build/build.ninja" ] && [ ! -t 1 ]; then quiet=(-- --quiet); fi
cmake --build "$build" --parallel "$jobs" ${quiet[@]+"${quiet[@]}"}
echo "build: done"
