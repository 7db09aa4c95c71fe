# When `railyard run` is killed without a warning, its ranks die and its files vanish.
. "$(dirname "$0")/hang.sh"
[ -n "$(runs)" ] || fail "there was no directory of the run"
kill -9 $runner
wait_for '[ "$(ranks)" -eq 0 ]'
wait_for '[ -z "$(runs)" ]'
[ -z "$segment" ] || wait_for '[ ! -e "/dev/shm/${segment#/}" ]'
