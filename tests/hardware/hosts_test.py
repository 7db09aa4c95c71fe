#!/usr/bin/env python3
"""Hardware mode on hosts that work, and on hosts that fail in each way they can.

  hosts_test.py BUILD CASE     runs one case; 77: this machine gives no hosts
  hosts_test.py --list         the names of the cases
"""

import contextlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import slurm
from machines import Machines, why_not
from yard import Yard

HERE = os.path.dirname(os.path.abspath(__file__))
MESH = f"{HERE}/../../scenarios/all-sum-mesh.json"
LONG = f"{HERE}/scenarios/long.json"
CROSSED = f"{HERE}/../../scenarios/crossed-cables.json"
CUT = f"{HERE}/../../scenarios/faults/side-channel-cut.json"
LATE = f"{HERE}/../../scenarios/known-bugs/mlx-3152.json"
STOPPED = f"{HERE}/scenarios/stopped.json"
SWITCHED = f"{HERE}/scenarios/switched.json"
UNPLUGGED = f"{HERE}/scenarios/unplugged.json"

CASES = {}


class Skipped(Exception):
    pass


def case(scenario, hosts=4):
    def note(function):
        CASES[function.__name__.replace("_", "-")] = (function, scenario, hosts)
        return function
    return note


def check(condition, what, result=None):
    if condition:
        return
    told = f"\n{result.stdout}\n{result.stderr}" if result else ""
    raise AssertionError(what + told)


def expect(result, code, pattern):
    check(result.returncode == code, f"the exit code is {result.returncode}, not {code}", result)
    check(re.search(pattern, result.stdout + result.stderr), f"nothing says /{pattern}/", result)
    print("\n".join(line for line in (result.stdout + result.stderr).splitlines() if re.search(pattern, line)))


def refused(result, code, pattern):
    """The hosts were looked over, one line says what is wrong, and no rank was started."""
    expect(result, code, pattern)
    lines = [line for line in result.stderr.splitlines() if "hosts.json: " in line]
    check(len(lines) == 1, f"{len(lines)} lines instead of one", result)
    check("rank 0" not in result.stdout, "ranks were started", result)


def nobody_left(machines, names=None, seconds=10):
    """Every process that Railyard started on the hosts is gone."""
    deadline = time.monotonic() + seconds
    while True:
        left = {name: machines.processes(name) for name in names or machines.names}
        if not any(left.values()):
            return
        check(time.monotonic() < deadline, f"left behind: {left}")
        time.sleep(0.05)


def state_and_parent(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            return state, int(parent)
    return "", 0


def rank_on(machines, name, program="railyard-rank"):
    for _ in range(600):
        pids = [pid for pid, command in machines.processes(name).items()
                if os.path.basename(command.split(" ")[0]) == program]
        # Not the guard, which the agent forked: it may have the lower number, since numbers begin anew.
        if first := [pid for pid in pids if state_and_parent(pid)[1] not in pids]:
            return first[0]
        time.sleep(0.02)
    raise AssertionError(f"no {program} on {name}")


def at_work(machines, name):
    """The rank on a host, once it is in an operation: its page says so (railyard/worker.h)."""
    for _ in range(1500):
        pid = rank_on(machines, name)
        with contextlib.suppress(OSError, IndexError, struct.error):
            with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
                page = [each for each in file.read().split("\0") if each.startswith("RAILYARD_PROGRESS=")][0]
            with open(page.split("=", 1)[1], "rb") as file:
                if struct.unpack_from("=I", file.read(), 64)[0] in (2, 3):
                    return pid
        time.sleep(0.02)
    raise AssertionError(f"the rank on {name} does not come to work")


class Running:
    """A run under way; `with` ends it."""

    def __init__(self, yard, *arguments, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(yard.command(yard.hostfile(), *arguments), stdin=stdin, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def end(self, timeout=60):
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        self.returncode = self.process.returncode
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@case(MESH)
def works(machines, yard):
    result = yard.run(yard.hostfile())
    expect(result, 0, "1 passed, 0 failed")
    check(result.stdout.count("exit 0, mesh") == 4, "four ranks end well", result)
    nobody_left(machines)


def by_ipv6(machines):
    """Makes the hosts be reached by IPv6 alone."""
    if not machines.reaches6(machines.names[0]):
        raise Skipped("this system has no IPv6")
    machines.write_ssh_config(machines.address6)

    def change(plan):
        for name, host in zip(machines.names, plan["hosts"]):
            host["ips"] = [machines.address6(name)]
    return change


@case(MESH)
def ipv6(machines, yard):
    result = yard.run(yard.hostfile(by_ipv6(machines)))
    expect(result, 0, "1 passed, 0 failed")
    check(result.stdout.count("exit 0, mesh") == 4, "four ranks end well", result)
    nobody_left(machines)


@case(CUT, hosts=2)
def ipv6_side_channel(machines, yard):
    """The relay of a fault lies between addresses of IPv6, too."""
    expect(yard.run(yard.hostfile(by_ipv6(machines))), 0, r"side-channel.cut .*fired(.|\n)*1 passed, 0 failed")


@case(LATE, hosts=2)
def ipv6_other_worker(machines, yard):
    expect(yard.run(yard.hostfile(by_ipv6(machines))), 0, "2 passed, 0 failed")  # and its healthy twin


@case(MESH)
def trace(machines, yard):
    """The ranks' verbs stand in one trace, on one clock: all ranks connect before any of them closes its device."""
    file = f"{machines.folder}/trace.json"
    expect(yard.run(yard.hostfile(), "--trace", file), 0, "1 passed, 0 failed")
    with open(file, encoding="utf-8") as text:
        events = json.load(text)["traceEvents"]
    verbs = [each for each in events if each.get("cat") == "verb"]
    ranks = {each["pid"] for each in verbs}
    check(len(ranks) == 4, f"verbs of {len(ranks)} ranks")
    def times(name, what):
        return [each["ts"] for each in verbs if each["name"] == name and what in each["args"]["line"]]
    connected, closed = times("ibv_modify_qp", "state=3"), times("ibv_close_device", "errno=0")
    check(connected and len(connected) % 12 == 0 and len(closed) == 12, f"{len(connected)} connections, {len(closed)} closed devices")
    off = max(connected) - min(closed)
    check(off < 1000, f"a device was closed {off} us before the last queue pair was connected")


@case(MESH)
def copied(machines, yard):
    def without_directory(plan):
        for host in plan["hosts"]:
            del host["directory"]
    result = yard.run(yard.hostfile(without_directory))
    expect(result, 0, "1 passed, 0 failed")
    nobody_left(machines)
    left = subprocess.run(["find", machines.cache, "-type", "f"], capture_output=True, text=True, check=False).stdout
    check(not left, f"copies were left: {left}")


def topology(yard, *arguments):
    return subprocess.run(yard.railyard("topology", *arguments), capture_output=True, text=True, timeout=90,
                          stdin=subprocess.DEVNULL, check=False)


def without_rows(plan):
    for host in plan["hosts"]:
        del host["rdma"]


def cables_of(result):
    return {frozenset(ends) for ends in json.loads(result.stdout)["cables"].values()}


@case(CROSSED, hosts=2)
def discovered(machines, yard):
    result = topology(yard, "discover", "--hosts", yard.hostfile(without_rows))
    expect(result, 0, "2 cables")
    crossed = {frozenset({"n0/rdma_en6", "n1/rdma_en7"}), frozenset({"n0/rdma_en7", "n1/rdma_en6"})}
    check(cables_of(result) == crossed, "the cables lie otherwise", result)
    nobody_left(machines)


@case(MESH)
def discovered_mesh(_, yard):
    result = topology(yard, "discover", "--hosts", yard.hostfile(without_rows))
    expect(result, 0, "6 cables")
    pairs = {frozenset(end.split("/")[0] for end in ends) for ends in cables_of(result)}
    check(len(pairs) == 6, "not every pair has its cable", result)


@case(SWITCHED, hosts=3)
def discovered_switch(_, yard):
    result = topology(yard, "discover", "--hosts", yard.hostfile(without_rows))
    expect(result, 0, "3 cables")
    check(json.loads(result.stdout)["switches"] == ["switch"], "the switch was not found", result)


def like_macs(machines, peers, bridged=""):
    """Gives the hosts the commands of Macs; `peers`: what they say is cabled, by (host, interface)."""
    def program(folder, name, text):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        os.chmod(f"{folder}/{name}", 0o755)

    def change(plan):
        for i, host in enumerate(plan["hosts"]):
            folder = f"{machines.folder}/mac.{i}"
            os.makedirs(folder, exist_ok=True)
            host["env"] = {**host["env"], "PATH": f"{folder}:{os.environ['PATH']}"}
            mine = sorted(interface for where, interface in peers if where == i)
            program(folder, "networksetup", "\n\n".join(
                f"Hardware Port: Thunderbolt {k}\nDevice: {interface}" for k, interface in enumerate(mine, 1)))
            program(folder, "system_profiler", json.dumps({"SPThunderboltDataType": [
                {"domain_uuid_key": f"{i}-{interface}",
                 "receptacle_1_tag": {"receptacle_id_key": str(k), "current_speed_key": "Up to 80 Gb/s"},
                 "_items": [{"_name": "n{}".format(peers[i, interface][0]),
                             "domain_uuid_key": "{}-{}".format(*peers[i, interface])}]}
                for k, interface in enumerate(mine, 1)]}))
            program(folder, "ifconfig", f"bridge0: flags=8863<UP>\n\tmember: {bridged} flags=3<LEARNING>")
    return change


STRAIGHT = {(0, "en6"): (1, "en6"), (1, "en6"): (0, "en6"), (0, "en7"): (1, "en7"), (1, "en7"): (0, "en7")}


@case(CROSSED, hosts=2)
def macs_know_their_cables(machines, yard):
    """What both say of their cables is believed: here it is not what a message would find."""
    result = topology(yard, "discover", "--hosts", yard.hostfile(like_macs(machines, STRAIGHT)))
    expect(result, 0, "2 cables")
    expect(result, 0, r"n0 +rdma_en7 .*Thunderbolt 2, Up to 80 Gb/s, to n1")
    straight = {frozenset({"n0/rdma_en6", "n1/rdma_en6"}), frozenset({"n0/rdma_en7", "n1/rdma_en7"})}
    check(cables_of(result) == straight, "the cables lie otherwise", result)


@case(CROSSED, hosts=2)
def mac_bridged(machines, yard):
    expect(yard.run(yard.hostfile(like_macs(machines, STRAIGHT, "en7"))), 3,
            r"hosts/0: n0: the Thunderbolt Bridge owns en7; take it out: sudo ifconfig bridge0 deletem en7")


@case(CROSSED, hosts=2)
def mac_port_down(machines, yard):
    yard.tell("cable.unplug", "c1")
    expect(yard.run(yard.hostfile(like_macs(machines, STRAIGHT))), 3,
            r"hosts/0: n0: the port of rdma_en\d \(Thunderbolt \d, to n1\) is down; check its cable")


@case(CROSSED, hosts=2)
def crossed_rails_found(_, yard):
    def crossed(plan):
        plan["hosts"][1]["rdma"] = [plan["hosts"][1]["rdma"][0][::-1], None]
    hosts = yard.hostfile(crossed)
    expect(topology(yard, "check", hosts, "--hosts", hosts), 1, r"error: hosts/1/rdma/0: crossed rails")
    hosts = yard.hostfile()
    expect(topology(yard, "check", hosts, "--hosts", hosts), 0, "mesh of 2")


@case(CROSSED, hosts=2)
def discover_of_a_host_that_is_down(machines, yard):
    machines.stop_sshd("n1")
    expect(topology(yard, "discover", "--hosts", yard.hostfile(without_rows)), 3,
           r"hosts/1: n1: it cannot be reached")


@case(MESH)
def down(machines, yard):
    machines.stop_sshd("n2")
    refused(yard.run(yard.hostfile()), 3, r"hosts/2: n2: it cannot be reached \(.*refused\)")
    nobody_left(machines)


@case(MESH)
def unreachable(machines, yard):
    machines.cut("n1")
    refused(yard.run(yard.hostfile()), 3, r"hosts/1: n1: it cannot be reached")
    nobody_left(machines)


@case(MESH)
def key_refused(machines, yard):
    machines.refuse_key("n3")
    refused(yard.run(yard.hostfile()), 3, r"hosts/3: n3: ssh refuses the key .*add yours to its authorized_keys")


@case(MESH)
def host_key_unknown(machines, yard):
    with open(f"{machines.folder}/known_hosts", "w", encoding="utf-8") as file:
        file.write("")
    result = yard.run(yard.hostfile())
    expect(result, 3, r"hosts/0: n0: ssh does not know its host key")


@case(MESH)
def no_devices(_, yard):
    def clear(plan):
        plan["hosts"][1]["env"] = {}
    refused(yard.run(yard.hostfile(clear)), 3, r"hosts/1: n1: it has no RDMA devices")


@case(MESH)
def no_library(_, yard):
    def lose(plan):
        plan["hosts"][1]["library"] = "/nowhere/libibverbs.so.1"
    refused(yard.run(yard.hostfile(lose)), 3, r"hosts/1: n1: .*/nowhere/libibverbs.so.1.*cannot be loaded")


@case(MESH)
def no_railyard(_, yard):
    def lose(plan):
        plan["hosts"][2]["directory"] = "/nowhere"
    refused(yard.run(yard.hostfile(lose)), 3, r"hosts/2: n2: there is no /nowhere/bin/railyard-host; install")


@case(MESH)
def wrong_device(_, yard):
    def misspell(plan):
        plan["hosts"][0]["rdma"][1] = "rdma_en9"
    refused(yard.run(yard.hostfile(misspell)), 2, r"hosts/0/rdma/1: n0 has no device rdma_en9; it has rdma_en")


@case(MESH)
def port_down(_, yard):
    yard.tell("cable.unplug", "c1")
    result = yard.run(yard.hostfile())
    expect(result, 3, r"hosts/0: n0: the port of rdma_en\d is down; check its cable")


@case(MESH)
def too_few(_, yard):
    def forget(plan):
        plan["hosts"] = plan["hosts"][:2]
        for host in plan["hosts"]:
            host["rdma"] = host["rdma"][:2]
    expect(yard.run(yard.hostfile(forget)), 0, r"skipped .*takes 4 hosts, .* names 2")


@case(LONG)
def rank_dies(machines, yard):
    with Running(yard) as run:
        os.kill(at_work(machines, "n1"), signal.SIGKILL)
        expect(run.end(), 1, r"FAILED  peer-dead: rank 1 .*signal 9")
    nobody_left(machines)


@case(LONG)
def agent_dies(machines, yard):
    with Running(yard) as run:
        rank_on(machines, "n1")
        os.kill(rank_on(machines, "n1", "railyard-host"), signal.SIGKILL)
        nobody_left(machines, ["n1"], 3)
        expect(run.end(), 1, r"FAILED  host-lost: rank 1: the host n1 is lost")
    nobody_left(machines)


@case(STOPPED, hosts=2)
def resumed_late(machines, yard):
    """A host that is busy hears late that its stopped rank is to go on: that is not stuck."""
    with Running(yard) as run:
        rank = at_work(machines, "n1")
        while state_and_parent(rank)[0] not in ("T", ""):
            time.sleep(0.005)
        agent = rank_on(machines, "n1", "railyard-host")
        os.kill(agent, signal.SIGSTOP)
        time.sleep(2)
        os.kill(agent, signal.SIGCONT)
        expect(run.end(), 0, "1 passed, 0 failed")


@case(LONG)
def network_cut(machines, yard):
    with Running(yard) as run:
        at_work(machines, "n2")
        machines.cut("n2")
        # Nobody can tell that host to end: it does so by itself.
        nobody_left(machines, ["n2"], 12)
        expect(run.end(), 1, r"FAILED  host-lost: rank 2: the host n2 is lost")
    nobody_left(machines)


@case(LONG)
def harness_killed(machines, yard):
    with Running(yard) as run:
        for name in machines.names:
            rank_on(machines, name)
        os.kill(run.process.pid, signal.SIGKILL)
        nobody_left(machines, seconds=12)


@case(LONG)
def interrupted(machines, yard):
    with Running(yard) as run:
        rank_on(machines, "n3")
        time.sleep(0.5)
        os.kill(run.process.pid, signal.SIGINT)
        expect(run.end(), 130, r"interrupted")
    nobody_left(machines)


@case(UNPLUGGED, 2)
def by_hand(machines, yard):
    """The operator is told what to do, does it, and presses Enter; the device shows the port's change."""
    yard.hand = ""
    with Running(yard, stdin=subprocess.PIPE) as run:
        told = ""
        while "press Enter" not in told:
            letter = run.process.stderr.read(1)
            check(letter, "nobody was asked: " + told)
            told += letter
        check(re.search(r"Now: unplug c1 \(c1 \(n0/rdma_en\d - n1/rdma_en\d\)\)", told), told)
        yard.tell("cable.unplug", "c1")
        run.process.stdin.write("\n")
        run.process.stdin.flush()
        expect(run.end(), 0, r"fault +cable.unplug .*fired at .*by hand.*the port of rdma_en\d on n\d went down")
    nobody_left(machines)


@case(UNPLUGGED, 2)
def by_command(_, yard):
    tell = " ".join(yard.telling())
    ends = [f"n{i}/{yard.matrix[i][1 - i]}" for i in range(2)]
    cables = [{"ends": ends, "unplug": f"{tell} cable.unplug c1", "plug": f"{tell} cable.plug c1"}]
    yard.hand = ""
    result = yard.run(yard.hostfile(cables=cables, hand=False))
    expect(result, 0, r"fault +cable.unplug .*fired at .*by `.*cable.unplug c1`")


@case(UNPLUGGED, 2)
def no_hand(_, yard):
    yard.hand = ""
    expect(yard.run(yard.hostfile(hand=False)), 0, r"skipped .*cable.unplug of c1 takes a hand, and the hosts have none")


def conformance_of(result, file):
    expect(result, 0, "1 passed, 0 failed")
    with open(file, encoding="utf-8") as text:
        return json.load(text)


@case(MESH)
def conformance(machines, yard):
    """The device is of the profile that the scenario names: it does what that says."""
    file = f"{machines.folder}/conformance.json"
    told = conformance_of(yard.run(yard.hostfile(), "--conformance", file), file)
    check(told["unlike"] == 0, f"unlike the profile: {told}")
    rules = {rule["rule"] for rule in told["rules"]}
    check({"queue_pairs", "transports", "min_granted", "max_message_bytes"} <= rules, f"only {rules}")


@case(MESH)
def conformance_unlike(machines, yard):
    """The scenario names another profile than the device's: where that differs is told."""
    with open(MESH, encoding="utf-8") as text:
        scenario = json.load(text)
    scenario["cluster"]["profile"] = "connectx"
    scenario.pop("$schema", None)
    yard.scenario = f"{machines.folder}/connectx.json"
    with open(yard.scenario, "w", encoding="utf-8") as text:
        json.dump(scenario, text)
    file = f"{machines.folder}/conformance.json"
    told = conformance_of(yard.run(yard.hostfile(), "--conformance", file), file)
    unlike = {rule["rule"]: rule for rule in told["rules"] if not rule["agrees"]}
    check("max_message_bytes" in unlike, f"only {set(unlike)}")
    check(unlike["max_message_bytes"]["device_did"].endswith("16773120"), f"{unlike}")
    print(sorted(unlike))


@case(MESH)
def mpirun(machines, yard):
    if not shutil.which("mpirun"):
        raise Skipped("mpirun (package openmpi-bin) is not installed")
    yard.environment_here = {"OMPI_MCA_plm_rsh_agent": f"ssh -F {machines.folder}/ssh_config",
                             "OMPI_MCA_btl_tcp_if_include": "eth0", "OMPI_MCA_oob_tcp_if_include": "eth0"}
    expect(yard.run(yard.hostfile(), "--launcher", "mpirun"), 0, "1 passed, 0 failed")
    nobody_left(machines)


def agents(machines):
    return {name: text for name in machines.names for text in machines.processes(name).values()
            if "railyard-host" in text}


@case(MESH)
def srun(machines, yard):
    if reason := slurm.why_not():
        raise Skipped(reason)
    with slurm.Slurm(machines) as cluster:
        yard.environment_here = {"SLURM_CONF": cluster.file}
        result = yard.run(yard.hostfile(), "--launcher", "srun")
        expect(result, 0, "1 passed, 0 failed")
        check(result.stdout.count("exit 0, mesh") == 4, "four ranks end well", result)
        check(not agents(machines), f"agents are left: {agents(machines)}")


@case(MESH)
def launcher_missing(machines, yard):
    empty = f"{machines.folder}/path"
    os.makedirs(empty)
    yard.environment_here = {"PATH": empty}
    expect(yard.run(yard.hostfile(), "--launcher", "srun"), 3, "there is no srun here")


def main():
    if sys.argv[1] == "--list":
        print("\n".join(CASES))
        return 0
    build, name = sys.argv[1:]
    if reason := why_not():
        print(f"skipped: {reason}")
        return 77
    function, scenario, hosts = CASES[name]
    with Machines(hosts) as machines, Yard(machines, build, scenario) as yard:
        try:
            function(machines, yard)
        except Skipped as skipped:
            print(f"skipped: {skipped}")
            return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
