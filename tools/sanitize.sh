#!/usr/bin/env bash
# Runs the tests of the simulator and of the runtime under sanitizers: `address` (with undefined behaviour) and
# `thread`, both unless one is named. RAILYARD_SANITIZERS=core leaves out most runs of groups, which take the longest
# and pass through the same code over and over, and under `thread` the runtime, most of which is one thread.
# Other people's programs, scenarios and timings are left to test.sh: what they run is the same code.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(getconf _NPROCESSORS_ONLN)
extent=${RAILYARD_SANITIZERS:-all}
simulator=(railyard-fabric-tests railyard-verbs-tests)
runtime=(railyard-runtime-tests railyard-group-tests)

export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1  # as build.sh
export ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# Programs of a test are forked from it before they have threads; a report ends the program, and so the test.
# By default each of them waits a second before it ends.
export TSAN_OPTIONS=halt_on_error=1:exitcode=66:die_after_fork=0:atexit_sleep_ms=50:suppressions=$root/tools/sanitize/thread.txt

# What gains nothing here.
left_out=(
  'AsyncwatchTest.*'               # a program of others, built without the sanitizer that the simulator brings
  '*.BuiltForTheSystemsLibrary/*'  # the same code, found at run time
  '*.DoAllOperations/*_16'         # as with 8 ranks, on machines that have no core for each
  '*.DoAllOperations/*_32'
)
# What `core` runs of the groups: each kind of group and device, each operation, splitting, and all that goes wrong.
core=(
  'AllSum.EveryDtype/*_3' 'Operations.EverySize/*' 'Groups.*' 'Failure.*' 'KnownBugs.*' 'SendReceive.*'
  'Split.EvenAndOdd/*' 'Start.*' 'Tcp.*'
)

joined() { local IFS=:; echo "$*"; }

# The tests of a binary that are run, as GoogleTest's filter.
filter_of() {
  local chosen='*'
  if [ "$1" = railyard-group-tests ] && [ "$extent" = core ]; then
    chosen=$(joined "${core[@]}" "${core[@]/#/Groups\/}")
  fi
  echo "$chosen-$(joined "${left_out[@]}")"
}

# Runs a command silently; shows what it said if it fails.
quietly() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
}

# What a sanitizer said, also of a program that the test expected to fail.
reports='ThreadSanitizer: |AddressSanitizer: |LeakSanitizer: |runtime error: '

# Runs a test binary in as many parts as there are processors.
run() {
  local build=$1 name=$2 part status=0 begin=$SECONDS pids=()
  for ((part = 0; part < jobs; ++part)); do
    GTEST_TOTAL_SHARDS=$jobs GTEST_SHARD_INDEX=$part \
      "$build/bin/$name" --gtest_brief=1 --gtest_filter="$(filter_of "$name")" >"$build/$name.$part.log" 2>&1 &
    pids+=($!)
  done
  for ((part = 0; part < jobs; ++part)); do
    if ! wait "${pids[$part]}" || grep -Eqa "$reports" "$build/$name.$part.log"; then
      status=1
      cat "$build/$name.$part.log"
    fi
  done
  if [ $status -eq 0 ]; then
    echo "sanitize: $name: $(cat "$build/$name".*.log | awk '/^\[  PASSED  \]/ { n += $4 } END { print n }')" \
      "tests passed in $((SECONDS - begin)) s"
  fi
  return $status
}

# sanitize NAME SANITIZERS TEST...
sanitize() {
  local name=$1 sanitizers=$2 build=$root/build/$1 first=() test status=0 begin=$SECONDS
  shift 2
  echo "sanitize: $name: compiling with $jobs jobs in $build"
  mkdir -p "$build"
  if [ ! -f "$build/CMakeCache.txt" ]; then
    first+=("-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1")  # quick to build, with assertions and line numbers
    if command -v ninja >/dev/null; then first+=(-G Ninja); fi
    if command -v ccache >/dev/null; then first+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  fi
  quietly "$build/configure.log" cmake -S "$root" -B "$build" ${first[@]+"${first[@]}"} -DRAILYARD_SANITIZE="$sanitizers"
  quietly "$build/build.log" cmake --build "$build" --parallel "$jobs" --target "$@"
  echo "sanitize: $name: compiled in $((SECONDS - begin)) s"
  for test in "$@"; do run "$build" "$test" || status=1; done
  return $status
}

status=0
for kind in "${@:-address thread}"; do
  for each in $kind; do
    case $each in
      address) sanitize address address,undefined "${simulator[@]}" "${runtime[@]}" || status=1 ;;
      thread)
        threaded=("${simulator[@]}")
        if [ "$extent" != core ]; then threaded+=("${runtime[@]}"); fi
        sanitize thread thread "${threaded[@]}" || status=1
        ;;
      *)
        echo "sanitize: '$each' is neither address nor thread" >&2
        exit 2
        ;;
    esac
  done
done
if [ $status -eq 0 ]; then echo "sanitize: nothing found"; fi
exit $status
