# SPDX-License-Identifier: Apache-2.0
"""A cold boot of a kernel, vmtest's own processor time, and the throughput of the command's output."""
import contextlib
import json
import os
import select
import statistics
import subprocess
import time

from harness import CPUS, MEMORY, RUN_SECONDS, BenchError, compile_c, kill_group

LIMIT_COLD = 0.70
LIMIT_PROCESSOR_MS = 60
OUTPUT_BYTES = 100 * 1000 * 1000


def cold(bench, report):
    bench.timed([*bench.cold_liner, "--", "true"])  # unpacks the kernel and fills the page cache
    ours, theirs = [], []
    for _ in range(bench.runs):
        ours.append(bench.timed([*bench.cold_liner, "--", "true"]))
        theirs.append(bench.timed(bench.bare_qemu))
    report.values("vmtest true", ours, "%.2f", "s")
    report.values("plain QEMU", theirs, "%.2f", "s")
    report.limit("ratio", statistics.median(ours) / statistics.median(theirs), LIMIT_COLD)


def processor(bench, report):
    meter, file = f"{bench.directory}/meter", f"{bench.directory}/meter.out"
    compile_c("meter.c", meter, f'-DMETER_QEMU="{bench.qemu}"', f'-DMETER_FILE="{file}"')
    argv = [*bench.cold_liner, "-q", meter, "--", "true"]
    # Warm up with this QEMU: the caches so far know only the other one.
    bench.timed(argv)
    own = [own_time_of(bench, argv, file) for _ in range(bench.runs)]
    report.values("vmtest's own", own, "%.0f", "ms")
    report.limit("median", statistics.median(own), LIMIT_PROCESSOR_MS, "%.0f", " ms")


def own_time_of(bench, argv, file):
    """vmtest's own processor time in milliseconds."""
    with open(file, "w", encoding="ascii"):
        pass
    process = bench.start(argv)
    deadline = time.monotonic() + RUN_SECONDS
    usage = None
    try:
        # wait4() also returns orphans that were reparented to us; vmtest's usage does not include them.
        while usage is None:
            pid, status, one = os.wait4(-1, os.WNOHANG)
            if pid == process.pid:
                usage, process.returncode = one, os.waitstatus_to_exitcode(status)
            elif pid == 0:
                if time.monotonic() > deadline:
                    bench.fail(argv, f"not done after {RUN_SECONDS} s")
                time.sleep(0.02)
    finally:
        kill_group(process)
    if process.returncode != 0:
        bench.fail(argv, f"exit status {process.returncode}")
    with open(file, encoding="ascii") as lines:
        qemu_us = sum(int(line) for line in lines)
    return (usage.ru_utime + usage.ru_stime) * 1000 - qemu_us / 1000


def receive(bench, argv, source, process, data):
    """MB/s between the first and the last byte of `data` read from the pipe `source`, while `process` writes them."""
    chunks, first, last = [], None, None
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        if not select.select([source], [], [], 1)[0]:
            if process.poll() is not None:
                break
            continue
        chunk = os.read(source.fileno(), 1 << 20)
        if not chunk:
            break
        last = time.monotonic()
        first = first or last
        chunks.append(chunk)
    if b"".join(chunks) != data:
        bench.fail(argv, f"{sum(map(len, chunks))} bytes arrived that are not the {len(data)} that were sent")
    if process.wait(RUN_SECONDS) != 0:
        bench.fail(argv, f"exit status {process.returncode}")
    return len(data) / 1e6 / (last - first)


def output_of_vmtest(bench, data):
    argv = [*bench.cold_liner, "cp /mnt/vmtest/big /tmp/big && cat /tmp/big"]
    process = bench.start(argv, subprocess.PIPE)
    try:
        return receive(bench, argv, process.stdout, process, data)
    finally:
        kill_group(process)


def output_of_socat(bench, data):
    path = f"{bench.directory}/bench.sock"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        socat = subprocess.Popen(["socat", "-u", "-b", "65536", f"UNIX-LISTEN:{path}", "STDOUT"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        raise BenchError(f"socat: {error}") from error
    deadline = time.monotonic() + 10
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    argv = [bench.vmtest, "-c", f"{bench.directory}/port.toml", "--no-template"]
    process = bench.start(argv)
    try:
        return receive(bench, argv, socat.stdout, process, data)
    finally:
        kill_group(process)
        kill_group(socat)
        socat.wait()


def write_port_toml(bench):
    """Writes a target with an additional port, on which socat listens."""
    command = ("cp /mnt/vmtest/big /tmp/big && for port in /sys/class/virtio-ports/*; do "
               "if [ \"$(cat $port/name)\" = bench ]; then cat /tmp/big > /dev/${port##*/}; exit; fi; done; exit 1")
    extra = ["-device", "virtio-serial-pci,id=benchbus",
             "-chardev", f"socket,id=bench,path={bench.directory}/bench.sock",
             "-device", "virtserialport,bus=benchbus.0,chardev=bench,name=bench"]
    with open(f"{bench.directory}/port.toml", "w", encoding="utf-8") as file:
        # JSON strings and lists of strings are valid TOML.
        file.write(f"[[target]]\nname = \"port\"\nkernel = {json.dumps(bench.kernel)}\naccel = \"tcg\"\n"
                   f"command = {json.dumps(command)}\n[target.vm]\nmemory = \"{MEMORY}\"\nnum_cpus = {CPUS}\n"
                   f"extra_args = {json.dumps(extra)}\n")


def output(bench, report):
    data = os.urandom(OUTPUT_BYTES)
    with open(f"{bench.directory}/big", "wb") as big:
        big.write(data)
    write_port_toml(bench)
    ours, theirs = [], []
    for _ in range(max(3, bench.runs // 2)):
        ours.append(output_of_vmtest(bench, data))
        theirs.append(output_of_socat(bench, data))
    os.unlink(f"{bench.directory}/big")
    report.values("vmtest", ours, "%.0f", "MB/s")
    report.values("port and socat", theirs, "%.0f", "MB/s")
    report.line("ratio", f"{statistics.median(ours) / statistics.median(theirs):.2f}")
