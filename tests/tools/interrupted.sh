# Ctrl-C ends the ranks, says what was known and leaves nothing.
. "$(dirname "$0")/hang.sh"
kill -INT $runner
wait $runner
code=$?
[ $code -eq 130 ] || fail "exit $code"
grep -q interrupted "$work/out" || fail "nothing was said"
[ "$(ranks)" -eq 0 ] || fail "ranks live"
[ -z "$(runs)" ] || fail "files are left"
[ -z "$segment" ] || [ ! -e "/dev/shm/${segment#/}" ] || fail "the segment is left"
