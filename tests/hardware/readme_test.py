#!/usr/bin/env python3
"""Holds README.md against what it tells of: readme_test.py RAILYARD

Each message of the table of failing hosts has to be one that its test looks for, each such test has to be in the
table, the counts of outcomes have to be those of outcomes.json, and each command has to print what stands below it.
"""

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile

import hosts_test

HERE = os.path.dirname(os.path.abspath(__file__))


def patterns(case):
    """The expressions that a test looks for, as its source has them."""
    return [eval(text) for text in  # pylint: disable=eval-used
            re.findall(r'''r?"(?:[^"\\]|\\.)*"''', inspect.getsource(hosts_test.CASES[case][0]))]


def check_failures(text):
    rows = re.findall(r"^\| [^|]+ \| `([a-z-]+)` \| `(.+)` \|$", text, re.MULTILINE)
    problems = [] if len(rows) > 15 else [f"the table of failing hosts has {len(rows)} rows"]
    for case, message in rows:
        if case not in hosts_test.CASES:
            problems.append(f"there is no test {case}")
        elif not any(len(each) > 10 and re.search(each, message) for each in patterns(case) + ["^interrupted$"]):
            problems.append(f"{case} does not look for: {message}")
    told = {case for case, _ in rows}
    for case, (function, _, _) in hosts_test.CASES.items():
        source = inspect.getsource(function)
        if ("refused(" in source or re.search(r'"FAILED ', source)) and case not in told:
            problems.append(f"{case} is not in the table of failing hosts")
    return problems


def check_counts(text):
    with open(f"{HERE}/outcomes.json", encoding="utf-8") as file:
        outcomes = [each["outcome"] for each in json.load(file).values()]
    scenarios = [file for folder in (".", "faults", "known-bugs", "healthy", "large")
                 for file in os.listdir(f"{HERE}/../../scenarios/{folder}")
                 if file.endswith(".json") and file.count(".") == 1]
    counts = {"less exact": outcomes.count("less exact"), "skipped, with the reason": outcomes.count("skipped"),
              "differs": outcomes.count("differs"), "the same verdict": len(scenarios) - len(outcomes)}
    problems = [f"{count} scenarios: {word}" for word, count in counts.items() if f"| {word} | {count} |" not in text]
    if f"Of {len(scenarios)}\nscenarios" not in text:
        problems.append(f"there are {len(scenarios)} scenarios")
    return problems


def check_commands(text, railyard):
    problems = []
    [block] = re.findall(r"```\n(\$ .*?)```", text, re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        for part in block[2:].split("\n$ "):
            command, _, expected = part.strip("\n").partition("\n")
            ran = subprocess.run(command.replace("railyard", railyard, 1), shell=True, cwd=folder, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if sorted(ran.stdout.strip().split("\n")) != sorted(expected.split("\n")):
                problems.append(f"{command}\nprints\n{ran.stdout}")
    return problems


def main():
    with open(f"{HERE}/README.md", encoding="utf-8") as file:
        text = file.read()
    problems = check_failures(text) + check_counts(text) + check_commands(text, sys.argv[1])
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
