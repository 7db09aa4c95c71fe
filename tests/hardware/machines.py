"""Hosts for the tests of hardware mode: network namespaces of this machine with an sshd in each.

All is made of namespaces of their own: the machine's own interfaces, addresses and sshd stay as they are. Needs
root, ip and sshd; why_not() says what is missing.
"""

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
IP = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def quietly(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL, check=False).returncode == 0


def why_not():
    if os.geteuid() != 0:
        return "network namespaces take root"
    if not IP:
        return "ip (package iproute2) is not installed"
    if not SSHD or not shutil.which("ssh"):
        return "sshd or ssh (packages openssh-server, openssh-client) is not installed"
    name = f"ry{os.getpid()}probe"
    if not quietly(IP, "netns", "add", name):
        return "this system gives no network namespaces"
    quietly(IP, "netns", "delete", name)
    return ""


class Machines:
    """`count` hosts n0, n1, ... on one bridge, and the namespace `here` in which the harness runs."""

    def __init__(self, count):
        self.count = count
        self.names = [f"n{i}" for i in range(count)]
        self.prefix = f"ry{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix="ry-hosts-")
        self.cache = f"{self.folder}/cache"  # of the hosts' user
        self.daemons = {}

    def space(self, name):
        return f"{self.prefix}{name}"

    def address(self, name):
        return f"10.77.0.{100 if name == 'here' else 1 + self.names.index(name)}"

    def address6(self, name):
        return f"fd00:77::{100 if name == 'here' else 1 + self.names.index(name)}"

    def ip(self, *words):
        subprocess.run([IP, *words], check=True, stdin=subprocess.DEVNULL)

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        self.ip("netns", "add", self.space("bridge"))
        self.ip("-n", self.space("bridge"), "link", "add", "bridge", "type", "bridge")
        self.ip("-n", self.space("bridge"), "link", "set", "bridge", "up")
        for name in [*self.names, "here"]:
            self.ip("netns", "add", self.space(name))
            self.ip("-n", self.space(name), "link", "set", "lo", "up")
            self.ip("-n", self.space(name), "link", "add", "eth0", "type", "veth", "peer", "name", f"to-{name}",
                    "netns", self.space("bridge"))
            self.ip("-n", self.space("bridge"), "link", "set", f"to-{name}", "master", "bridge", "up")
            self.ip("-n", self.space(name), "address", "add", f"{self.address(name)}/24", "dev", "eth0")
            self.ip("-n", self.space(name), "link", "set", "eth0", "up")
            quietly(IP, "-n", self.space(name), "-6", "address", "add", f"{self.address6(name)}/64", "dev", "eth0",
                    "nodad")  # where there is IPv6
        self.make_keys()
        for name in self.names:
            self.start_sshd(name)
        for name in self.names:
            self.wait_for(name)

    def make_keys(self):
        for key in ["host", "own", "other"]:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/{key}"], check=True)
        shutil.copy(f"{self.folder}/own.pub", f"{self.folder}/authorized")
        with open(f"{self.folder}/host.pub", encoding="utf-8") as file:
            host_key = " ".join(file.read().split()[:2])
        with open(f"{self.folder}/known_hosts", "w", encoding="utf-8") as file:
            for name in self.names:
                file.write(f"{self.address(name)},{self.address6(name)} {host_key}\n")
        self.write_ssh_config(self.address)

    def write_ssh_config(self, address):
        with open(f"{self.folder}/ssh_config", "w", encoding="utf-8") as file:
            for name in self.names:
                file.write(f"Host {name}\n  HostName {address(name)}\n")
            file.write(f"Host *\n  User {getpass.getuser()}\n  IdentityFile {self.folder}/own\n  IdentitiesOnly yes\n"
                       f"  UserKnownHostsFile {self.folder}/known_hosts\n  StrictHostKeyChecking yes\n")

    def start_sshd(self, name, authorized="authorized"):
        config = f"{self.folder}/sshd.{name}"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"Port 22\nListenAddress {self.address(name)}\nListenAddress {self.address6(name)}\nHostKey {self.folder}/host\nPidFile none\n"
                       f"AuthorizedKeysFile {self.folder}/{authorized}\nStrictModes no\nUsePAM no\n"
                       "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
                       f"KbdInteractiveAuthentication no\nMaxStartups 100\nSetEnv XDG_CACHE_HOME={self.cache}\n")
        os.makedirs("/run/sshd", exist_ok=True)
        with open(f"{self.folder}/sshd.{name}.log", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [IP, "netns", "exec", self.space(name), "unshare", "--uts", "sh", "-c",
                 f"hostname {name} && exec {SSHD} -D -e -f {config}"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def stop_sshd(self, name):
        self.daemons[name].kill()
        self.daemons.pop(name).wait()

    def refuse_key(self, name):
        self.stop_sshd(name)
        shutil.copy(f"{self.folder}/other.pub", f"{self.folder}/nobody")
        self.start_sshd(name, "nobody")
        time.sleep(0.3)

    def cut(self, name):
        self.ip("-n", self.space("bridge"), "link", "set", f"to-{name}", "down")

    def wait_for(self, name):
        for _ in range(100):
            if quietly(*self.here("ssh", "-F", f"{self.folder}/ssh_config", "-o", "BatchMode=yes", name, "true")):
                return
            time.sleep(0.1)
        with open(f"{self.folder}/sshd.{name}.log", encoding="utf-8") as log:
            raise RuntimeError(f"sshd on {name} does not answer: {log.read()}")

    def reaches6(self, name):
        return quietly(*self.here("ssh", "-F", f"{self.folder}/ssh_config", "-o", "BatchMode=yes",
                                  "-o", f"HostName={self.address6(name)}", name, "true"))

    def here(self, *command):
        return [IP, "netns", "exec", self.space("here"), *command]

    def processes(self, name):
        """Those that run in a host's namespace, but for its sshd."""
        found = subprocess.run([IP, "netns", "pids", self.space(name)], capture_output=True, text=True, check=False)
        commands = {}
        for pid in found.stdout.split():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                    commands[int(pid)] = file.read().replace("\0", " ").strip()
        return {pid: text for pid, text in commands.items() if "sshd" not in text}

    def __exit__(self, *_):
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()
        spaces = [self.space(name) for name in [*self.names, "here", "bridge"]]
        for space in spaces:
            found = subprocess.run([IP, "netns", "pids", space], capture_output=True, text=True, check=False)
            for pid in found.stdout.split():
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
        for space in spaces:
            quietly(IP, "netns", "delete", space)
        shutil.rmtree(self.folder, ignore_errors=True)
