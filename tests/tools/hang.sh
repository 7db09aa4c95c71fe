# Sourced: starts `railyard run` on two ranks that ignore SIGTERM and have children of their own, in
# a directory for temporary files that is this test's alone.
railyard=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mark="railyard-hang-$$-"
cat > "$work/hang.json" <<END
{"summary": "Ranks that never end.", "cluster": {"nodes": 2},
 "program": ["sh", "-c", "trap '' TERM; : $mark; sleep 300 & sleep 300"]}
END
mkdir "$work/tmp"
TMPDIR="$work/tmp" "$railyard" run "$work/hang.json" > "$work/out" 2>&1 &
runner=$!

runs() { ls "$work/tmp" | grep ^railyard-run; }
ranks() { pgrep -f "$mark" | grep -v "^$runner\$" | wc -l; }
fail() { echo "$1"; cat "$work/out"; exit 1; }

# Waits up to ten seconds for a condition.
wait_for() {
  tries=0
  until eval "$1"; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || fail "waited in vain for: $1"
    sleep 0.02
  done
}
wait_for '[ "$(ranks)" -ge 2 ]'
segment=$(tr '\0' '\n' < "/proc/$(pgrep -f "$mark" | head -1)/environ" 2>/dev/null | sed -n 's/^RAILYARD_FABRIC=//p')
