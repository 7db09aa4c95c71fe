#!/usr/bin/env python3
"""Unmodified programs behind the pass-through library, with and without rules.

  passthrough_test.py RAILYARD LIBRARIES CASE     runs one case; 77: its program is not installed
  passthrough_test.py --list                      the names of the cases

The simulator's drop-in library stands for the device's own. A case passes when the program did what the
rule makes it do, and the record says how often the rule fired.
"""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

# These post by ibv_wr_*; -t polls by ibv_start_poll, too.
NEW = "ibv_rc_pingpong -N -c -n 100 -p {port} {peer}"
POLLED = "ibv_rc_pingpong -t -N -c -n 100 -p {port} {peer}"
RC = "ibv_rc_pingpong -c -n 100 -p {port} {peer}"
UC = "ibv_uc_pingpong -c -n 100 -p {port} {peer}"
LAT = "ib_send_lat --use_old_post_send -n 100 -p {port} {peer}"
LAT_NEW = "ib_send_lat -n 100 -p {port} {peer}"

# What is run on two nodes; the rules of both; what it must print; how often the rule fires on both together.
# BY_ONE: at least on one, which ends the other, perhaps before it fires there. hangs: it is ended from
# outside, as it would wait for ever. signal: each program gets SIGUSR1 after a while.
Case = collections.namedtuple("Case", "program rules output fired hangs signal", defaults=((0,), False, False))
BY_ONE, BY_BOTH = (1, 2), (2,)

DONE = r"100 iters in"
CASES = {
    "rc": Case(RC, "", DONE),
    "uc": Case(UC, "", DONE),
    "new-send": Case(NEW, "", DONE),
    "new-poll": Case(POLLED, "", DONE),
    "new-limit-not-reached": Case(POLLED, "limit queue-pairs 1", DONE),
    "new-delay": Case(NEW, "at ibv_post_send nth 5 times 3 delay 2ms", DONE, (6,)),
    "new-fail": Case(NEW, "at ibv_post_send nth 20 fail EIO", "Couldn't post send", BY_ONE),
    "new-drop": Case(NEW, "at ibv_post_send nth 10 drop", "", BY_ONE, True),
    "new-drop-lat": Case(LAT_NEW, "at ibv_post_send nth 10 drop", "", BY_ONE, True),
    "new-status": Case(POLLED, "at completion nth 7 status 11", "Failed status remote operation error", BY_ONE),
    "new-poll-fails": Case(POLLED, "at ibv_poll_cq nth 3 fail EIO", "poll CQ failed", BY_ONE),
    "new-poll-delay": Case(POLLED, "at ibv_poll_cq nth 3 times 2 delay 2ms", DONE, (4,)),
    "new-poll-drop": Case(POLLED, "at ibv_post_send nth 10 drop", "", BY_ONE, True),
    "events": Case("ibv_rc_pingpong -e -c -n 100 -p {port} {peer}", "", DONE),
    "send-lat": Case(LAT, "", r"#bytes"),
    "send-lat-new": Case(LAT_NEW, "", r"#bytes"),
    "fail": Case(RC, "at ibv_create_qp fail ENOMEM", "Couldn't create QP", BY_BOTH),
    "fail-not-this-call": Case(RC, "at ibv_create_qp nth 2 fail ENOMEM", DONE),
    "fail-other-device": Case(RC, "at ibv_create_qp device mlx5_9 fail ENOMEM", DONE),
    "delay": Case(RC, "at ibv_post_send nth 5 times 3 delay 2ms", DONE, (6,)),
    "block": Case(RC, "at ibv_reg_mr block", "", BY_BOTH, True),
    "after-messages": Case(RC, "at ibv_post_send messages 20 fail EIO", "Couldn't post send", BY_ONE),
    "drop-rc": Case(RC, "at ibv_post_send nth 10 drop", "", BY_ONE, True),
    "drop-uc": Case(UC, "at ibv_post_send nth 10 drop", "", BY_ONE, True),
    "drop-lat": Case(LAT, "at ibv_post_send nth 10 drop", "", BY_ONE, True),
    "status": Case(RC, "at completion nth 7 status 11", "Failed status remote operation error", BY_ONE),
    "gid": Case("ibv_rc_pingpong -g 0 -n 100 -p {port} {peer}", "at ibv_query_gid gid all fe80::77",
                r"local address:.*GID fe80::77", BY_BOTH),
    "limit-contexts": Case(RC, "limit contexts 0 errno EBUSY", "Couldn't get context", BY_BOTH),
    "limit-domains": Case(RC, "limit protection-domains 0", "Couldn't allocate PD", BY_BOTH),
    "limit-regions": Case(RC, "limit memory-regions 0", "Couldn't register MR", BY_BOTH),
    "limit-queues": Case(RC, "limit completion-queues 0", "Couldn't create CQ", BY_BOTH),
    "limit-pairs": Case(RC, "limit queue-pairs used-up", "Couldn't create QP", BY_BOTH),
    "limit-not-reached": Case(RC, "limit queue-pairs 1", DONE),
    "limit-depth": Case(RC, "limit receive-requests 100", "Couldn't create QP", BY_BOTH),
    "signal-not-sent": Case(RC, "at ibv_post_send signal USR1 fail EIO", DONE),
    "later-not-armed": Case(RC, "at ibv_post_send later fail EIO", DONE),
    "signal": Case("ibv_rc_pingpong -n 100000000 -p {port} {peer}",
                   "at ibv_post_send signal USR1 fail EIO", "Couldn't post send", BY_ONE, signal=True),
    "bad-rule": Case(RC, "at ibv_create_qp nth x fail ENOMEM",
                     r"rules: line 1: 'nth' wants a whole number, not x"),
    "bad-place": Case(RC, "at ibv_creat_qp fail EIO", r"'ibv_creat_qp' is no place for a rule"),
    "drop-elsewhere": Case(RC, "at ibv_post_recv drop", r"only ibv_post_send can drop"),
}


def run(railyard, libraries, case, folder):
    environment = {"LD_LIBRARY_PATH": f"{libraries}/passthrough",
                   "RAILYARD_REAL_VERBS": f"{libraries}/libibverbs.so.1",
                   "RAILYARD_PASSTHROUGH_RECORD": f"{folder}/record"}
    if case.rules:
        with open(f"{folder}/rules", "w", encoding="utf-8") as rules:
            rules.write(case.rules + "\n")
        environment["RAILYARD_PASSTHROUGH_RULES"] = f"{folder}/rules"
    settings = [f"{name}={value}" for name, value in environment.items()]
    later = ["sh", "-c", '(sleep 1; kill -USR1 $$) & exec "$@"', "sh"] if case.signal else []
    process = subprocess.Popen(
        [railyard, "exec", "-n", "2", "--profile", "connectx", "--", *later, "env", *settings,
         *case.program.split()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        return process.communicate(timeout=4 if case.hangs else 40)[0], True
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.communicate()[0], False


def main():
    if sys.argv[1] == "--list":
        print("\n".join(CASES))
        return 0
    railyard, libraries, name = sys.argv[1:]
    case = CASES[name]
    if not shutil.which(re.search(r"ibv?_\w+", case.program).group()):
        print("skipped: the program is not installed")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        output, ended = run(railyard, libraries, case, folder)
        record = ""
        if os.path.exists(f"{folder}/record"):
            with open(f"{folder}/record", encoding="utf-8") as file:
                record = file.read()
    problems = []
    if ended == case.hangs:
        problems.append("it ended" if ended else "it hangs")
    if not re.search(case.output, output):
        problems.append(f"the output has no /{case.output}/")
    fired = record.count(" rule=0 ")
    if fired not in case.fired:
        problems.append(f"the rule fired {fired} times, not {' or '.join(map(str, case.fired))}")
    if problems:
        print(f"{name}: {'; '.join(problems)}\n{output}\n{record[-2000:]}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
