#!/usr/bin/env python3
"""Runs scenarios on the simulator and on hosts, and compares what comes of them.

  compare_test.py BUILD FILE|FOLDER...

Prints a line per scenario. A scenario that passes on the simulator has to pass on hosts too, or be skipped there
with a reason; and a verdict that hosts cannot see is named as such. 77: this machine gives no hosts.
"""

import glob
import json
import os
import subprocess
import sys

from machines import Machines, why_not
from yard import Yard

HOSTS = 8


def scenarios(paths):
    for path in paths:
        if os.path.isdir(path):
            yield from sorted(file for file in glob.glob(f"{path}/*.json")
                              if os.path.basename(file).count(".") == 1)
        else:
            yield path


def read(file, code):
    try:
        with open(file, encoding="utf-8") as text:
            runs = json.load(text)["runs"]
    except OSError:
        return {"word": "BROKEN", "verdict": f"exit {code}", "why": ""}
    run = runs[0]  # the scenario itself; a healthy twin follows it
    word = "skipped" if run["skipped"] else "passed" if run["passed"] else "BROKEN" if run["broken"] else "FAILED"
    why = run["skipped"] or "; ".join(run["failures"] or run["unchecked"])
    return {"word": word, "verdict": run["verdict"]["name"], "why": why}


def one(machines, build, file):
    report = f"{machines.folder}/report.json"
    own = subprocess.run([f"{build}/bin/railyard", "run", file, "--json", report], capture_output=True, check=False)
    simulated = read(report, own.returncode)
    os.path.exists(report) and os.remove(report)
    with open(file, encoding="utf-8") as text:
        scenario = json.load(text)
    nodes = scenario["cluster"].get("nodes", 2)
    if (nodes if isinstance(nodes, int) else len(nodes)) > HOSTS:
        return simulated, {"word": "skipped", "verdict": "", "why": f"the test has {HOSTS} hosts"}
    with Yard(machines, build, file) as yard:
        try:
            result = yard.run(yard.hostfile(), "--json", report, timeout=120)
        except subprocess.TimeoutExpired:
            return simulated, {"word": "BROKEN", "verdict": "", "why": "it hangs"}
        hosts = read(report, result.returncode)
        if hosts["word"] == "BROKEN":
            hosts["why"] = hosts["why"] or (result.stderr.strip().splitlines() or [""])[-1]
    os.path.exists(report) and os.remove(report)
    return simulated, hosts


def main():
    build, *paths = sys.argv[1:]
    if reason := why_not():
        print(f"skipped: {reason}")
        return 77
    counts, wrong = {"same": 0, "less exact": 0, "skipped": 0, "DIFFERS": 0}, 0
    print(f"{'scenario':<32} {'simulator':<28} {'hosts':<28} outcome")
    with Machines(HOSTS) as machines:
        for file in scenarios(paths):
            simulated, hosts = one(machines, build, file)
            if hosts["word"] == "skipped":
                outcome = "skipped"
            elif simulated["word"] != hosts["word"]:
                outcome = "DIFFERS"
            else:
                outcome = "same" if simulated["verdict"] == hosts["verdict"] else "less exact"
            counts[outcome] += 1
            wrong += outcome == "DIFFERS"
            sides = [f"{side['word']} {side['verdict']}" if side["word"] != "skipped" else "-"
                     for side in (simulated, hosts)]
            print(f"{os.path.basename(file)[:-5]:<32} {sides[0]:<28} {sides[1]:<28} {outcome}"
                  f"{': ' + hosts['why'] if hosts['why'] and outcome != 'same' else ''}", flush=True)
        for name in machines.names:
            if left := machines.processes(name):
                print(f"left behind on {name}: {left}")
                wrong += 1
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
