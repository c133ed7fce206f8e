# SPDX-License-Identifier: Apache-2.0
"""A Slurm cluster of one node on loopback, out of the distribution's packages, for a session of tests.

Everything is private: configuration, keys, sockets, ports, spool. Its daemons run in the foreground as our children and
are ended by their process ids. Root is needed, since slurmd starts its tasks as whoever submitted them.
"""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FAKE = f"{TOP}/tests/peers/fake_qemu.py"
PATIENCE = 120
# More than the machine has: what is tested is an array whose tasks run at the same time.
CPUS = 4

CONFIGURATION = """\
ClusterName=vmtest
SlurmctldHost=node(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=5
MinJobAge=600
SchedulerParameters=batch_sched_delay=0,sched_interval=2
NodeName=node NodeAddr=127.0.0.1 NodeHostname=node CPUs={cpus} RealMemory=512 State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, left to make check-all")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.1)
    return value


class Cluster:
    def __init__(self):
        # Not below pytest's directory: munge's socket must be short, and no parent of it writable by others.
        self.base = tempfile.mkdtemp(prefix="vmtest-slurm-", dir="/run")
        self.daemons = []
        self.env = {**os.environ, "SLURM_CONF": f"{self.base}/slurm.conf"}
        for name in list(self.env):
            if name.startswith(("SLURM_", "SBATCH_")) and name != "SLURM_CONF":
                del self.env[name]

    def start(self):
        for name in ("state", "spool"):
            os.mkdir(f"{self.base}/{name}")
        with open(f"{self.base}/munge.key", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(os.urandom(128))
        with open(f"{self.base}/slurm.conf", "w") as file:
            file.write(CONFIGURATION.format(base=self.base, ports=free_ports(2), cpus=CPUS))
        # munge's socket is for everybody, what lies beside it is not.
        os.chmod(self.base, 0o711)
        self.spawn("munged", "-F", "-f", f"--key-file={self.base}/munge.key", f"--socket={self.base}/munge.socket",
                   f"--pid-file={self.base}/munged.pid", f"--seed-file={self.base}/munged.seed",
                   f"--log-file={self.base}/munged.log")
        wait_until(lambda: os.path.exists(f"{self.base}/munge.socket"), "munge's socket")
        self.spawn("slurmctld", "-D", "-i", "-f", f"{self.base}/slurm.conf", name="node")
        wait_until(lambda: self.call("scontrol", "ping", check=False).returncode == 0, "slurmctld")
        self.spawn("slurmd", "-D", "-N", "node", "-f", f"{self.base}/slurm.conf", name="node")
        wait_until(lambda: "idle" in self.call("sinfo", "-h", "-o", "%T").stdout, "the node")

    def spawn(self, *argv, name=None):
        """A daemon in the foreground; `name`: as which host it knows itself."""
        if name:
            argv = ("unshare", "--uts", "sh", "-c",
                    f'hostname {name}; exec "$@"', "sh", *argv)
        log = open(f"{self.base}/{argv[6] if name else argv[0]}.out", "wb")
        with log:
            self.daemons.append(subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=subprocess.STDOUT, start_new_session=True))

    def call(self, *argv, check=True, **keywords):
        return subprocess.run(argv, env={**self.env, **keywords.pop("env", {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
                              check=check, **keywords)

    def states(self, job):
        """The state of each task of an array, by its index."""
        lines = self.call("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %T").stdout.split("\n")
        return {int(index): state for index, state in (line.split() for line in lines if line)}

    def stop(self):
        self.call("scancel", "--user=root", check=False)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.base)


@pytest.fixture(scope="session")
def cluster():
    made = Cluster()
    try:
        made.start()
        yield made
    finally:
        made.stop()
