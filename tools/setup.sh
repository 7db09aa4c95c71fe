#!/usr/bin/env bash
# Installs the packages that are missing: those of packages-debian.txt by apt-get, or those of
# packages-homebrew.txt by brew. Needs no rights, no network and no time when nothing is missing.
# Arguments are more lists of Debian's packages.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
debian=("$tools/packages-debian.txt" "$@")

say() { printf 'set-up: %s\n' "$*"; }
fail() {
  say "$*" >&2
  exit 1
}

# Runs a command silently; shows what it said if it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    fail "'$*' failed"
  fi
  rm -f "$log"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    quietly env "$@"
  elif command -v sudo >/dev/null; then
    quietly sudo env "$@"
  else
    fail "'$*' needs root, and there is no sudo"
  fi
}

# The lines of package lists, without comments.
packages() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$@"; }

apt() { as_root DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }

has_deb() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

offers_deb() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# Prints, for each line of the list that no installed package satisfies, the line.
missing_debs() {
  local line name
  packages "${debian[@]}" | while read -r line; do
    for name in ${line//|/ }; do
      if has_deb "$name"; then continue 2; fi
    done
    echo "$line"
  done
}

setup_debian() {
  local missing wanted=() line name
  missing=$(missing_debs)
  if [ -z "$missing" ]; then
    say "every package is installed"
    return
  fi
  say "reading the package lists"
  apt update
  for line in $missing; do
    for name in ${line//|/ }; do
      if offers_deb "$name"; then
        wanted+=("$name")
        continue 2
      fi
    done
    fail "this distribution has no package '$line'"
  done
  say "installing ${wanted[*]}"
  apt install --no-install-recommends "${wanted[@]}"
}

setup_homebrew() {
  local installed wanted=() name
  command -v brew >/dev/null || fail "Homebrew is needed: https://brew.sh"
  xcode-select -p >/dev/null 2>&1 || fail "Apple's command line tools are needed: xcode-select --install"
  installed=$(brew list --formula -1)
  for name in $(packages "$tools/packages-homebrew.txt"); do
    grep -qE "^$name(@.*)?\$" <<<"$installed" || wanted+=("$name")
  done
  if [ ${#wanted[@]} -eq 0 ]; then
    say "every package is installed"
    return
  fi
  say "installing ${wanted[*]}"
  quietly brew install --quiet "${wanted[@]}"
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  setup_debian
elif [ "$(uname -s)" = Darwin ]; then
  setup_homebrew
else
  say "neither Debian nor macOS: see to the packages in tools/packages-debian.txt yourself"
fi
