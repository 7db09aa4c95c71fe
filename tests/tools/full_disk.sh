#!/bin/sh
# A full disk, under the reports, under the run's own files and under the fabric: one line each, exit 3,
# and what was there before stays whole. Needs a mount namespace of its own.
#   full_disk.sh path/to/railyard
set -u
railyard=$(realpath "$1")
cd "$(dirname "$0")" || exit 1
if [ "${2:-}" != inside ]; then
  unshare -rm true 2>/dev/null || { echo "skipped: no mount namespace to be had"; exit 0; }
  exec unshare -rm sh "./$(basename "$0")" "$railyard" inside
fi

fail() { echo "$1"; exit 1; }
small=$(mktemp -d)
trap 'umount "$small" 2>/dev/null; rmdir "$small"' EXIT

# expect_broken WHAT: the last run ended with 3 and one line that gives the reason.
expect_broken() {
  [ "$code" = 3 ] || fail "$1: exit code $code: $(cat /tmp/full-disk.$$)"
  [ "$(wc -l < /tmp/full-disk.$$)" = 1 ] || fail "$1: not one line: $(cat /tmp/full-disk.$$)"
  grep -q "No space left\|full" /tmp/full-disk.$$ || fail "$1: no reason: $(cat /tmp/full-disk.$$)"
  rm /tmp/full-disk.$$
}

mount -t tmpfs -o size=16k tmpfs "$small" || fail "cannot mount"
echo before > "$small/report.html"
"$railyard" run scenarios/passes.json --report "$small/report.html" > /dev/null 2> /tmp/full-disk.$$
code=$?
expect_broken "a report"
[ "$(cat "$small/report.html")" = before ] || fail "the report of before is gone"
umount "$small"

mount -t tmpfs -o size=4k tmpfs "$small" || fail "cannot mount"
TMPDIR="$small" "$railyard" run scenarios/passes.json scenarios/stopped.json > /tmp/full-disk.out.$$ 2> /dev/null
code=$?
grep "railyard itself failed" /tmp/full-disk.out.$$ | head -1 > /tmp/full-disk.$$
rm /tmp/full-disk.out.$$
expect_broken "the run's own files"
umount "$small"

mount -t tmpfs -o size=16k tmpfs /dev/shm || fail "cannot mount"
"$railyard" run scenarios/passes.json scenarios/stopped.json > /tmp/full-disk.out.$$ 2> /dev/null
code=$?
grep "railyard itself failed" /tmp/full-disk.out.$$ | head -1 > /tmp/full-disk.$$
rm /tmp/full-disk.out.$$
expect_broken "the fabric"
echo well
