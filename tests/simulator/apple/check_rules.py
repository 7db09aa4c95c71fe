#!/usr/bin/env python3
"""Compares the table of rules in this folder's README with the profile and with the tests.

check_rules.py PROFILE.json TESTS_FOLDER: exit 1 with a line for each rule that is not in the table and each
field or test of the table that there is not.
"""
import json
import pathlib
import re
import sys

TEST = re.compile(r"TEST(?:_F|_P)?\((\w+), (\w+)\)")


def main() -> int:
    profile = json.loads(pathlib.Path(sys.argv[1]).read_text())
    fields = set(profile["rules"]) | {"device", "link"}
    tests = {".".join(found) for source in pathlib.Path(sys.argv[2]).rglob("*.cpp")
             for found in TEST.findall(source.read_text())}
    faults = [f"{place}: no source" for section in ("rules", "link")
              for place, rule in profile[section].items() if not rule.get("source")]
    listed = set()
    for line in (pathlib.Path(__file__).parent / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] == "rule" or cells[0].startswith("---"):
            continue
        named = [name for name in re.findall(r"`([\w:]+)`", cells[1]) if "::" not in name]
        listed |= set(named)
        faults += [f"{cells[0]}: the profile has no '{name}'" for name in named if name not in fields]
        proofs = re.findall(r"`([\w.]+)`", cells[3])
        faults += [f"{cells[0]}: no test"] if not proofs else []
        faults += [f"{cells[0]}: there is no test {name}" for name in proofs if name not in tests]
    faults += [f"'{name}' is not in the table" for name in sorted(fields - listed)]
    print("\n".join(faults) or f"{len(listed)} fields, each with its tests")
    return 1 if faults else 0


sys.exit(main())
