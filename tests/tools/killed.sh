# When `railyard run` is killed without a warning, its ranks die and its files vanish.
. "$(dirname "$0")/hang.sh"
[ -n "$(ls "$work/tmp")" ] || fail "there was no directory of the run"
kill -9 $runner
wait_for '[ "$(ranks)" -eq 0 ]'
wait_for '[ -z "$(ls "$work/tmp")" ]'
[ -z "$segment" ] || wait_for '[ ! -e "/dev/shm/${segment#/}" ]'
