"""`railyard run` is killed at random moments of a run: the next start sweeps whatever that left.

usage: killed_anywhen.py RAILYARD [KILLS [SEED]]
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 20


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes(mark):
    """All that were started with the mark in their environment and have not ended."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if mark in environment_of(pid):
            found.append(int(pid))
    return found


def segments(folder):
    """The names of the fabrics that have a lock file."""
    for path, _, files in os.walk(folder):
        yield from (file for file in files if file.startswith("railyard."))


def main():
    railyard = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    dice = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 20261121)
    work = tempfile.mkdtemp(prefix="killed-anywhen-")
    mark = f"RAILYARD_TEST_MARK={os.getpid()}-{dice.random()}"
    scenario = os.path.join(work, "busy.json")
    with open(scenario, "w") as file:
        json.dump({"summary": "Two ranks that sum.", "cluster": {"profile": "connectx", "nodes": 2},
                   "group": {"backend": "mesh"},
                   "workload": [{"op": "all_sum", "dtype": "float32", "count": 4096, "repeat": 300}]}, file)
    temporary = os.path.join(work, "tmp")
    os.mkdir(temporary)
    own = dict(os.environ, TMPDIR=temporary)
    own.update([mark.split("=", 1)])
    command = [railyard, "run", scenario]

    begin = time.monotonic()
    subprocess.run(command, env=own, stdout=subprocess.DEVNULL, check=True)
    whole_s = time.monotonic() - begin

    seen, left, stages = set(), 0, {"no fabric": 0, "a fabric": 0, "its end": 0}
    for _ in range(kills):
        run = subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.random() * whole_s)
        names = set(segments(temporary))
        ended = run.poll() is not None
        run.send_signal(signal.SIGKILL)
        run.wait()
        seen |= names | set(segments(temporary))
        stages["its end" if ended else "a fabric" if names else "no fabric"] += 1
        left += len(set(segments(temporary)))
        # Ranks end by themselves when the harness is gone.
        deadline = time.monotonic() + PATIENCE_S
        while processes(mark.encode()):
            if time.monotonic() > deadline:
                sys.exit(f"ranks outlive the harness: {processes(mark.encode())}")
            time.sleep(0.01)

    # What is young may belong to a run that has just begun.
    long_ago = time.time() - 3600
    for name in os.listdir(temporary):
        os.utime(os.path.join(temporary, name), (long_ago, long_ago))
    subprocess.run(command, env=own, stdout=subprocess.DEVNULL, check=True)
    wrong = [f"the lock file {name}" for name in segments(temporary)]
    wrong += [f"the segment {name}" for name in sorted(seen) if os.path.exists(f"/dev/shm/{name}")]
    wrong += [f"the directory {name}" for name in os.listdir(temporary) if name.startswith("railyard-run")]
    if wrong:
        sys.exit("left after the next start: " + ", ".join(wrong))
    if stages["a fabric"] == 0:
        sys.exit("no kill met a running fabric: nothing was tested")
    print(f"{kills} kills within {whole_s:.2f} s, {stages}; {left} fabrics were left until the next start")
    shutil.rmtree(work)


main()
