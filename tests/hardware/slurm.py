"""Slurm on the tests' hosts: its controller where the harness is, its daemon in each host's namespace.

Nothing of it is of the machine's own Slurm, if there is one: files, ports and names are the test's. Who asks is not
checked (auth/none); processes are followed by their parents (linuxproc), so no cgroups are needed.
"""

import os
import shutil
import subprocess
import time

PROGRAMS = ("slurmctld", "slurmd", "srun", "sinfo")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def why_not():
    missing = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    return f"{', '.join(missing)} (packages slurmctld, slurmd, slurm-client) are not installed" if missing else ""


class Slurm:
    def __init__(self, machines):
        self.machines, self.folder = machines, f"{machines.folder}/slurm"
        self.file, self.daemons = f"{self.folder}/slurm.conf", []

    def __enter__(self):
        os.makedirs(f"{self.folder}/state")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(self.settings())
        with open(f"{self.folder}/cgroup.conf", "w", encoding="utf-8") as file:
            file.write("CgroupPlugin=cgroup/v1\n")  # nothing of it is used, and v2 would ask for systemd
        try:
            self.start("here", "slurmctld", "-D", "-f", self.file)
            for name in self.machines.names:
                self.start(name, "slurmd", "-D", "-N", name, "-f", self.file)
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def settings(self):
        nodes = "\n".join(f"NodeName={name} NodeAddr={self.machines.address(name)} CPUs=1 State=UNKNOWN"
                          for name in self.machines.names)
        return f"""ClusterName=railyard
SlurmctldHost=here({self.machines.address("here")})
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool.%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/linear
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

    def start(self, name, program, *arguments):
        with open(f"{self.folder}/{program}.{name}.log", "ab") as log:
            self.daemons.append(subprocess.Popen(
                ["ip", "netns", "exec", self.machines.space(name), "unshare", "--uts", "sh", "-c",
                 f'hostname {name} && exec "$@"', "sh", shutil.which(program, path=PATH), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def wait(self):
        environment = {**os.environ, "SLURM_CONF": self.file}
        for _ in range(150):
            told = subprocess.run(self.machines.here("sinfo", "--noheader", "--states=idle", "--format=%D"),
                                  capture_output=True, text=True, check=False, env=environment)
            if sum(map(int, told.stdout.split())) == len(self.machines.names):
                return
            time.sleep(0.2)
        logs = subprocess.run(["tail", "-n", "3", *[f"{self.folder}/{name}" for name in os.listdir(self.folder)
                                                    if name.endswith(".log")]],
                              capture_output=True, text=True, check=False).stdout
        raise RuntimeError(f"Slurm's nodes do not come up: {told.stdout}{told.stderr}\n{logs}")

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
