#!/usr/bin/env bash
# Builds the parsers for libFuzzer and runs them for so many seconds (60). What broke one is left in build/fuzz.
set -euo pipefail
seconds=${1:-60}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/fuzz corpus=$root/build/fuzz/corpus

first=()
if [ ! -f "$build/CMakeCache.txt" ]; then
  if command -v ninja >/dev/null; then first+=(-G Ninja); fi
  if command -v ccache >/dev/null; then first+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
fi
cmake -S "$root" -B "$build" ${first[@]+"${first[@]}"} -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
  -DRAILYARD_LIBFUZZER=ON >/dev/null
cmake --build "$build" --parallel "$(getconf _NPROCESSORS_ONLN)" --target railyard-parser-fuzzer

# To begin with: all that is shipped, each under the number of its parser.
mkdir -p "$corpus"
seed() { printf '%b' "\\x0$1" | cat - "$2" >"$corpus/$1-$(basename "$2")"; }
while read -r file; do seed 0 "$file"; done < <(find "$root/scenarios" -name '*.json')
for file in "$root"/simulator/profiles/*.json; do seed 3 "$file"; done
while read -r file; do
  for kind in 1 2 4 5; do seed $kind "$file"; done
done < <(find "$root/tests/tools" -path '*hosts*' -name '*.json')

cd "$build"
exec "$build/bin/railyard-parser-fuzzer" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 "$corpus"
