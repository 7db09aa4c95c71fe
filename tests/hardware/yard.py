"""The simulated cluster that stands for the devices of the tests' hosts, and runs of Railyard on them."""

import json
import os
import subprocess


class Yard:
    """The devices that a scenario's file describes. `build` is Railyard's build directory."""

    def __init__(self, machines, build, scenario):
        self.machines, self.build, self.scenario = machines, build, scenario
        self.socket = f"{machines.folder}/yard.{os.getpid()}"
        self.environment, self.matrix = {}, []
        self.environment_here = {}  # of the harness
        self.hand = " ".join(self.telling())

    def __enter__(self):
        self.process = subprocess.Popen([f"{self.build}/bin/railyard-test-yard", self.scenario, self.socket],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            words = line.strip().split(" ", 1)
            if words[0] == "ready":
                return self
            if words[0] == "matrix":
                self.matrix = json.loads(words[1])
            else:
                name, value = words[1].split("=", 1)
                self.environment.setdefault(int(words[0]), {})[name] = value
        raise RuntimeError(f"no cluster for {self.scenario}")

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def hostfile(self, change=None, **more):
        """Writes a hostfile for the cluster and returns its path; `change` may alter what it says."""
        hosts = []
        for rank, row in enumerate(self.matrix):
            name = self.machines.names[rank]
            hosts.append({"ssh": name, "ips": [self.machines.address(name)], "rdma": row, "directory": self.build,
                          "library": f"{self.build}/lib/libibverbs.so.1", "env": self.environment[rank]})
        plan = {"hosts": hosts, "hand": True, **more}
        if change:
            change(plan)
        path = f"{self.machines.folder}/hosts.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(plan, file)
        return path

    def telling(self):
        return [f"{self.build}/bin/railyard-test-yard", "--tell", self.socket]

    def tell(self, *words):
        subprocess.run([*self.telling(), *words], check=True, stdout=subprocess.DEVNULL)

    def command(self, hostfile, *arguments):
        hand = ["--hand", self.hand] if self.hand else []
        return self.railyard("run", self.scenario, "--hosts", hostfile, *hand, *arguments)

    def railyard(self, *arguments):
        settings = [f"{name}={value}" for name, value in self.environment_here.items()]
        return self.machines.here("env", f"RAILYARD_SSH=ssh -F {self.machines.folder}/ssh_config", *settings,
                                  f"{self.build}/bin/railyard", *arguments)

    def run(self, hostfile, *arguments, timeout=90):
        return subprocess.run(self.command(hostfile, *arguments), capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, check=False)
