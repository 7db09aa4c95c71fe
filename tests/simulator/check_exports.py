#!/usr/bin/env python3
"""Checks what libibverbs.so.1 exports: each symbol in its version node, and nothing else.

  check_exports.py LIBRARY EXPORTS              compare with the list
  check_exports.py LIBRARY EXPORTS --consumers  and with what the programs on this machine bind

Exits 1 and names what is missing or too much; 77 where there is nothing to compare with.
"""

import argparse
import collections
import glob
import os
import re
import subprocess
import sys

CONSUMER_FOLDERS = ["/usr/bin", "/usr/sbin", "/usr/lib64", "/usr/lib/python3",  # pyverbs is there
                    *glob.glob("/usr/lib/*-linux-gnu*")]
# A provider is tied to the very build of libibverbs it came with, which loads it by itself.
PROVIDER = re.compile(r"-rdmav\d+\.so$")
SONAME = "libibverbs.so.1"


def readelf(option, path):
    result = subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True)
    return result.stdout.splitlines()


def dynamic_symbols(path):
    """Yields (is_defined, name, node) of each versioned dynamic symbol."""
    for line in readelf("--dyn-syms", path):
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":") or "@" not in fields[7]:
            continue
        name, node = fields[7].replace("@@", "@").split("@", 1)
        yield fields[6] != "UND", name, node


def exported(library):
    pairs = collections.Counter((node, name) for defined, name, node in dynamic_symbols(library) if defined)
    for pair, count in pairs.items():
        if count > 1:
            sys.exit(f"{library}: {pair[1]}@{pair[0]} is there {count} times")
    return {pair for pair in pairs if pair[0] != pair[1]}


def listed(path):
    pairs, nodes = set(), []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.split("#")[0].strip()
            if line.startswith("["):
                nodes = line.strip("[]").split()
            elif line and not nodes:
                sys.exit(f"{path}:{number}: a symbol before the first [node]")
            elif line:
                pairs.update((node, line) for node in nodes)
    return pairs


def consumers(library):
    """Yields the installed objects that are linked with libibverbs."""
    own = os.path.realpath(library)
    seen = set()
    for folder in CONSUMER_FOLDERS:
        for root, _, files in os.walk(folder):
            for name in files:
                path = os.path.realpath(os.path.join(root, name))
                if path in seen or path == own or PROVIDER.search(path) or not os.path.isfile(path):
                    continue
                seen.add(path)
                with open(path, "rb") as file:
                    if file.read(4) != b"\x7fELF":
                        continue
                    file.seek(0)
                    if SONAME.encode() not in file.read():
                        continue
                if any("(NEEDED)" in line and SONAME in line for line in readelf("-d", path)):
                    yield path


def bound(path):
    return {(node, name) for defined, name, node in dynamic_symbols(path)
            if not defined and node.startswith("IBVERBS_")}


def complain(what, pairs):
    for node, name in sorted(pairs):
        print(f"{what}: {name}@{node}")
    return bool(pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library")
    parser.add_argument("exports")
    parser.add_argument("--consumers", action="store_true", help="compare with installed programs")
    arguments = parser.parse_args()

    have = exported(arguments.library)
    if not arguments.consumers:
        want = listed(arguments.exports)
        failed = complain("missing", want - have)
        failed |= complain("not in the list", have - want)
        print(f"{len(want & have)} of {len(want)} symbols are where they should be")
        return int(failed)

    failed, count = False, 0
    for path in consumers(arguments.library):
        count += 1
        failed |= complain(f"{path} needs", bound(path) - have)
    if count == 0:
        print(f"skipped: nothing here is linked with {SONAME}")
        return 77
    print(f"{count} installed programs and libraries find all they bind"
          if not failed else f"{count} installed programs and libraries were looked at")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
