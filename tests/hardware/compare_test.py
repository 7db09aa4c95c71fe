#!/usr/bin/env python3
"""Runs scenarios on the simulator and on hosts, and compares what comes of them.

  compare_test.py BUILD [--shard I/N] FILE|FOLDER...

Prints a line per scenario. What passes on the simulator has to pass on hosts too, with the same verdict. The
exceptions stand in outcomes.json, each with its reason; one that is not so, or no longer, fails as well.
77: this machine gives no hosts.
"""

import argparse
import glob
import json
import os
import subprocess
import sys

from machines import Machines, why_not
from yard import Yard

HOSTS = 8
HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = os.path.realpath(f"{HERE}/../../scenarios")


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
    why = run["skipped"] or "; ".join([*(run["failures"] or run["unchecked"]), run["verdict"]["headline"]])
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


def judge(simulated, hosts):
    if hosts["word"] == "skipped":
        return "skipped"
    if simulated["word"] != hosts["word"]:
        return "differs"
    return "same" if simulated["verdict"] == hosts["verdict"] else "less exact"


def objection(expected, outcome, hosts):
    """Why an outcome is not what outcomes.json expects; empty: it is."""
    if outcome != expected.get("outcome", "same"):
        return f"expected {expected.get('outcome', 'same')}"
    if outcome in ("less exact", "differs") and hosts["verdict"] != expected["verdict"]:
        return f"expected {expected['verdict']} on hosts"
    if outcome == "skipped" and hosts["why"] != expected["why"]:
        return f"expected it to be skipped because {expected['why']}"
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("paths", nargs="+")
    given = parser.parse_args()
    shard, shards = map(int, given.shard.split("/"))
    with open(f"{HERE}/outcomes.json", encoding="utf-8") as text:
        reviewed = json.load(text)
    if gone := [name for name in reviewed if not os.path.exists(f"{SCENARIOS}/{name}.json")]:
        print(f"outcomes.json: there are no such scenarios: {gone}")
        return 1
    if reason := why_not():
        print(f"skipped: {reason}")
        return 77
    counts, wrong = {"same": 0, "less exact": 0, "differs": 0, "skipped": 0}, 0
    print(f"{'scenario':<32} {'simulator':<28} {'hosts':<28} outcome")
    with Machines(HOSTS) as machines:
        for file in list(scenarios(given.paths))[shard - 1::shards]:
            simulated, hosts = one(machines, given.build, file)
            name = os.path.relpath(os.path.realpath(file), SCENARIOS)[:-5]
            expected = reviewed.get(name, {})
            outcome = judge(simulated, hosts)
            unexpected = objection(expected, outcome, hosts)
            if simulated["word"] != "passed":
                unexpected = unexpected or f"the simulator: {simulated['why']}"
            counts[outcome] += 1
            wrong += bool(unexpected)
            sides = [f"{side['word']} {side['verdict']}" if side["word"] != "skipped" else "-"
                     for side in (simulated, hosts)]
            why = expected.get("why") if not unexpected else f"{hosts['why']}  <-- {unexpected}"
            print(f"{name:<32} {sides[0]:<28} {sides[1]:<28} {outcome}{': ' + why if why else ''}", flush=True)
        for name in machines.names:
            if left := machines.processes(name):
                print(f"left behind on {name}: {left}")
                wrong += 1
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
