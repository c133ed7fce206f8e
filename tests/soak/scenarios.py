# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what is run, what strikes it, and how it may end. Each is a function from a stage to a Plan.

Where a fault races with the end of the run, the endings are a set, and each holds only under the conditions under which
vmtest can come to it: see "VERDICTS AND EXIT STATUS" in vmtest(1).
"""
import hashlib
import os
import random
import signal
from dataclasses import dataclass, field

from act import Act, Ending, Fault

KILL, SEGV, ABRT, INT, TERM, HUP = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP)
# Longer than what a fault waits for, shorter than anybody's patience: a fault that strikes a clone early lets it boot
# anew and run the command to its end.
NAP = "echo ready; sleep 12"
PASS = Ending("pass", 0)
# A guest that does not come up is a finding as well, but not a hang of vmtest: well below lane.HARD_LIMIT.
PATIENCE = ["--boot-timeout", "150s"]
STAGES_UP = ("boot", "setup", "command")
CANCELLED = {INT: 130, TERM: 143, HUP: 129}


@dataclass
class Stage:
    """What a scenario is given."""
    rng: random.Random
    world: object
    work: str  # the directory that is shared with the guest
    kernel: str
    image: str


@dataclass
class Plan:
    acts: list
    debris: bool = False  # something is killed that would have tidied up: what it left is gone after the next start
    orphans: bool = False  # processes lose their parent, and end as somebody else's children
    recover: list = field(default_factory=list)  # the arguments of that next start
    clear: bool = False  # there is no template before the run


def kernel_args(stage, *args, cold=None):
    if cold is None:
        cold = stage.rng.random() < 0.25
    return ["-k", stage.kernel, *PATIENCE, *(["--no-template"] if cold else []), *args]


def image_args(stage, *args, cold=False):
    return ["-i", stage.image, *PATIENCE, *(["--no-template"] if cold else []), *args]


def moment(stage):
    """A random moment of a run's life: more of them where stages change."""
    anchor, most = stage.rng.choice([("start", 0.3), ("boot", 0.5), ("boot", 5.0), ("setup", 0.4), ("command", 0.4),
                                     ("output", 1.0)])
    return anchor, stage.rng.uniform(0, most)


def quiet(act):
    """Nothing was written: vmtest had not taken the signals over yet."""
    return not act.events and not act.partial


def written(text):
    return lambda act: [] if act.output() == text else [f"the output is {act.output()[:200]!r}, not {text!r}"]


def one(act):
    return Plan([act])


def passes(stage):
    return one(Act(kernel_args(stage, "echo ready"), [PASS], check=written(b"ready\n")))


def fails(stage):
    code = stage.rng.choice([1, 2, 69, 124, 126, 127, 130, 255])
    return one(Act(kernel_args(stage, f"exit {code}"), [Ending("fail", code, ("command",))]))


def ends_by_signal(stage):
    number = stage.rng.choice([1, 2, 6, 9, 10, 11, 13, 15])  # not 3: bash ignores SIGQUIT
    return one(Act(kernel_args(stage, f"kill -{number} $$"), [Ending("signal", 128 + number, ("command",))]))


def output(stage):
    """Some MB on both streams, byte by byte."""
    sent = {}
    for name in ("stdout", "stderr"):
        sent[name] = stage.rng.randbytes(stage.rng.randrange(1 << 20, 4 << 20))
        with open(f"{stage.work}/{name}", "wb") as file:
            file.write(sent[name])

    def check(act):
        if not act.json:
            return [] if act.file() == sent["stdout"] else ["standard output is not what the command wrote"]
        return [f"{name} is not what the command wrote" for name in sent if act.output(name) != sent[name]]

    return one(Act(kernel_args(stage, "cat stderr >&2 & cat stdout; wait"), [PASS], check=check,
                   json=stage.rng.random() < 0.5, slow=stage.rng.random() < 0.5))


def piped_input(stage):
    """A shell's input is a pipe: a script, and then what the script reads."""
    body = stage.rng.randbytes(stage.rng.randrange(1 << 10, 2 << 20))
    digest = hashlib.sha256(body).hexdigest().encode()
    return one(Act(kernel_args(stage, "-"), [PASS], json=False, input=b"exec sha256sum\n" + body,
                   check=lambda act: [] if act.file() == digest + b"  -\n" else ["what came in is not what went in"]))


def no_input(stage):
    """A command's input is empty, whatever vmtest's own is."""
    return one(Act(kernel_args(stage, "wc -c"), [PASS], input=bytes(1000), check=written(b"0\n")))


def timeout(stage):
    command = 'trap "" TERM; echo ready; while :; do sleep 1; done'
    return one(Act(kernel_args(stage, "--timeout", "2s", "--kill-after", "1s", command),
                   [Ending("timeout", 124, ("command",))]))


def boot_timeout(stage):
    milliseconds = stage.rng.randrange(1, 150)
    # The last --boot-timeout counts.
    return one(Act(kernel_args(stage, "--boot-timeout", f"{milliseconds}ms", "true", cold=True),
                   [Ending("timeout", 124, ("boot",))]))


def panics(stage):
    return one(Act(kernel_args(stage, "echo c > /proc/sysrq-trigger; sleep 100"),
                   [Ending("panic", 69, ("command",), "sysrq triggered crash")]))


def powers_off(stage):
    return one(Act(kernel_args(stage, "echo o > /proc/sysrq-trigger; sleep 100"),
                   [Ending("lost", 69, ("command",), "powered off")]))


def reboots(stage):
    return one(Act(kernel_args(stage, "echo b > /proc/sysrq-trigger; sleep 100"),
                   [Ending("lost", 69, ("command",), "rebooted")]))


def kills_agent(stage):
    """The agent is PID 1: no signal that it does not want reaches it, and SIGTERM asks it to power off."""
    if stage.rng.random() < 0.5:
        number = stage.rng.choice(["KILL", "SEGV", "STOP", "HUP"])
        return one(Act(kernel_args(stage, f"kill -{number} 1; echo alive"), [PASS], check=written(b"alive\n")))
    return one(Act(kernel_args(stage, "kill -TERM 1; sleep 100"),
                   [Ending("lost", 69, ("command",), "powered off")]))


def fork_bomb(stage):
    """What the guest's kernel kills when its memory is used up may be the command itself."""
    return one(Act(kernel_args(stage, "--memory", "512M", "--timeout", "4s", "--kill-after", "1s",
                               "bomb() { bomb | bomb & }; bomb; exec sleep 1000"),
                   [Ending("timeout", 124, ("command",)), Ending("signal", 137, ("command",), "signal 9")]))


def out_of_memory(stage):
    return one(Act(kernel_args(stage, "--memory", "512M", "--timeout", "120s", "exec tail /dev/zero"),
                   [Ending("signal", 137, ("command",), "signal 9")]))


def qemu_is_killed(stage, args=kernel_args, reach=None):
    number = stage.rng.choice([KILL, KILL, SEGV, TERM])
    fault = Fault("qemu", number, *(reach or moment(stage)))
    # QEMU ends by itself on SIGTERM.
    why = "QEMU" if number == TERM else f"QEMU was killed by signal {int(number)}"
    # By then the guest has said hello for sure.
    up = {"output": ("command",), "draft": STAGES_UP}.get(fault.anchor)
    endings = [Ending("lost", 69, up or STAGES_UP, why)]
    if not up:
        endings += [Ending("error", 69, ("boot",), why),
                    # A clone that fails is no reason not to boot.
                    Ending("pass", 0, when=lambda act: act.from_template and act.booted_twice)]
    return one(Act(args(stage, NAP), endings, [fault]))


def qemu_aborts(stage):
    """Before the hello it is started once more; then the second one is left alone."""
    fault = Fault("qemu", ABRT, *moment(stage))
    endings = [Ending("lost", 69, STAGES_UP, "QEMU was killed by signal 6"),
               Ending("pass", 0, when=lambda act: act.booted_twice and fault.anchor != "output")]
    return one(Act(kernel_args(stage, NAP), endings, [fault]))


def qemu_is_killed_at_the_end(stage):
    """It races with the end of the command, and with the writing back of files after it."""
    fault = Fault("qemu", KILL, "command", stage.rng.uniform(0, 0.6))
    endings = [PASS, Ending("lost", 69, ("command",), "QEMU was killed by signal 9"),
               Ending("lost", 69, ("command",), "ended before its files were written back")]
    return one(Act(kernel_args(stage, "true"), endings, [fault]))


def worker_is_killed(stage, args=kernel_args, reach=None):
    number = stage.rng.choice([KILL, SEGV, ABRT])
    fault = Fault("worker", number, *(reach or moment(stage)))
    return Plan([Act(args(stage, NAP), [Ending("error", 69, reason=f"worker was ended by signal {int(number)}")],
                     [fault])], debris=True, orphans=True, recover=args(stage, "true", cold=False))


def vmtest_is_killed(stage, args=kernel_args, reach=None):
    """Its worker tidies up, unless that is killed as well."""
    kind = stage.rng.choice(["vmtest", "both"])
    fault = Fault(kind, KILL, *(reach or moment(stage)))
    return Plan([Act(args(stage, NAP), [Ending(None, -KILL)], [fault])], debris=True, orphans=True,
                recover=args(stage, "true", cold=False))


def vmtest_is_killed_at_the_end(stage):
    fault = Fault("vmtest", KILL, "command", stage.rng.uniform(0, 0.8))
    return Plan([Act(kernel_args(stage, "true"), [Ending(None, -KILL), PASS], [fault])], debris=True, orphans=True,
                recover=kernel_args(stage, "true", cold=False))


def is_cancelled(stage, args=kernel_args, reach=None):
    number = stage.rng.choice([INT, TERM, HUP])
    endings = [Ending("cancelled", CANCELLED[number]), Ending(None, -number, when=quiet)]
    return one(Act(args(stage, NAP), endings, [Fault("signal", number, *(reach or moment(stage)))]))


def making_is_struck(stage):
    """The blow falls while a template is being made, or shortly after."""
    strike = stage.rng.choice([qemu_is_killed, worker_is_killed, vmtest_is_killed, is_cancelled])
    plan = strike(stage, lambda stage, *args, cold=False: kernel_args(stage, *args, cold=False),
                  ("draft", stage.rng.uniform(0, 0.3)))
    plan.clear = True
    return plan


def is_cancelled_at_the_end(stage):
    number = stage.rng.choice([INT, TERM, HUP])
    endings = [Ending("cancelled", CANCELLED[number]), PASS]
    fault = Fault("signal", number, "command", stage.rng.uniform(0, 0.8))
    return one(Act(kernel_args(stage, "true"), endings, [fault]))


def is_cancelled_twice(stage):
    """The second signal ends the worker, which may not have tidied up then."""
    number = stage.rng.choice([INT, TERM])
    fault = Fault("signal", number, *moment(stage), again=stage.rng.uniform(0.01, 0.8))
    endings = [Ending("cancelled", CANCELLED[number]), Ending(None, -number, when=quiet)]
    return Plan([Act(kernel_args(stage, NAP), endings, [fault])], debris=True, orphans=True,
                recover=kernel_args(stage, "true", cold=False))


def nobody_reads(stage):
    """As `vmtest ... | head -c N`: the run is cancelled by SIGPIPE."""
    many = stage.rng.randrange(1, 200000)
    as_json = stage.rng.random() < 0.3

    def check(act):
        expected = b"".join(b"%d\n" % i for i in range(1, 60000))[:many]
        return [] if as_json or act.file() == expected else ["what was read is not what the command wrote"]

    return one(Act(kernel_args(stage, "seq 1 2000000"), [Ending(None, 141)], json=as_json, close_after=many,
                   check=check))


def bad_kernel(stage):
    path = f"{stage.work}/kernel"
    with open(path, "wb") as file:
        file.write(stage.rng.choice([b"", b"a text\n", stage.rng.randbytes(5000), b"\x7fELF" + bytes(100),
                                     b"MZ" + bytes(510) + b"HdrS" + stage.rng.randbytes(3000)]))
    return one(Act(["-k", path, "true"], [Ending("error", 69, ("prepare",), path)]))


def missing_kernel(stage):
    return one(Act(["-k", f"{stage.work}/missing", "true"], [Ending("error", 69, ("prepare",), "missing")]))


def verb(stage, after=0.0):
    words = stage.rng.choice([["clear"], ["list"], ["list", "--format", "json"], ["verify"]])
    return Act(["cache", *words], [Ending(None, 0)], json=False, start_after=after, is_run=False)


def cache_is_cleaned(stage):
    """Between and during runs: a run keeps what it has, and makes anew what is gone."""
    acts = [Act(kernel_args(stage, "echo ready; sleep 1", cold=False), [PASS], check=written(b"ready\n"))]
    acts += [verb(stage, stage.rng.uniform(0, 4)) for _ in range(stage.rng.randrange(1, 5))]
    acts.append(Act(["cache", "clear"], [Ending(None, 0)], json=False, start_after=stage.rng.uniform(0, 4),
                    is_run=False))
    return Plan(acts)


def template_is_damaged(stage):
    """A template that was changed is thrown away, and the run boots cold."""
    store, templates = stage.world.store(), stage.world.templates()
    if templates:
        path = f"{store}/{stage.rng.choice(templates)}/{stage.rng.choice(['memory', 'state', 'meta.json'])}"
        with open(path, "r+b") as file:
            if stage.rng.random() < 0.5:
                file.truncate(stage.rng.randrange(os.path.getsize(path)))
            else:
                file.seek(stage.rng.randrange(os.path.getsize(path)))
                file.write(b"damage")
    acts = [Act(kernel_args(stage, "echo ready", cold=False), [PASS], check=written(b"ready\n"))]
    # The one of the image, which this run does not use, is found by whoever verifies: here, not in a later scenario.
    acts.append(Act(["cache", "verify"], [Ending(None, 0), Ending(None, 1)], json=False, start_after=8, is_run=False))
    return Plan(acts)


def small_cache(stage):
    size = stage.rng.choice(["0", "1M", "100M", "200M"])
    return one(Act(kernel_args(stage, "echo ready", cold=False), [PASS], env={"VMTEST_CACHE_SIZE": size},
                   check=written(b"ready\n")))


def together(stage):
    """Two or three share the cache; one of them may be killed, which is nothing to the others."""
    acts = []
    for number in range(stage.rng.randrange(2, 4)):
        text = f"{number}-{stage.rng.random()}"
        acts.append(Act(kernel_args(stage, f"echo {text}", cold=False), [PASS],
                        check=written(text.encode() + b"\n"), start_after=stage.rng.uniform(0, 0.5)))
    killed = stage.rng.random() < 0.5
    if killed:
        acts[0] = Act(kernel_args(stage, NAP, cold=False), [Ending(None, -KILL)],
                      [Fault(stage.rng.choice(["vmtest", "both"]), KILL, *moment(stage))])
    if stage.rng.random() < 0.5:
        acts.append(verb(stage, stage.rng.uniform(0, 3)))
    return Plan(acts, debris=killed, orphans=killed, recover=kernel_args(stage, "true", cold=False))


def first_use_is_killed(stage):
    """The cache is empty, so that kernel and modules are being unpacked when the blow falls."""
    cache = stage.world.add_cache(f"{stage.world.path}/cache-of-its-own")
    kind = stage.rng.choice(["vmtest", "both", "worker"])
    number = KILL
    ending = Ending("error", 69) if kind == "worker" else Ending(None, -KILL)
    act = Act(kernel_args(stage, NAP, cold=False), [ending],
              [Fault(kind, number, "start", stage.rng.uniform(0.05, 2.5))], env={"XDG_CACHE_HOME": cache})
    return Plan([act], debris=True, orphans=True, recover=kernel_args(stage, "true", cold=False))


def several_targets(stage):
    """One of them goes wrong, the others do not notice."""
    bad = stage.rng.choice(["fail", "signal", "panic", "lost", "timeout", "error", "qemu"])
    commands = {"fail": "exit 7", "signal": "kill -9 $$", "panic": "echo c > /proc/sysrq-trigger; sleep 100",
                "lost": "echo o > /proc/sysrq-trigger; sleep 100", "timeout": "sleep 100", "error": "true",
                "qemu": NAP}
    names = ["one", "two", "three"]
    place = stage.rng.randrange(3)
    lines = []
    for number, name in enumerate(names):
        is_bad = number == place
        kernel = f"{stage.work}/none" if is_bad and bad == "error" else stage.kernel
        lines += ["[[target]]", f'name = "{name}"', f'kernel = "{kernel}"',
                  f"command = '{commands[bad] if is_bad else 'echo ready'}'"]
        lines += ['timeout = "3s"', 'kill_after = "1s"'] if is_bad and bad == "timeout" else []
    with open(f"{stage.work}/vmtest.toml", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    wanted = {name: "pass" for name in names} | {names[place]: "lost" if bad == "qemu" else bad}

    def check(act):
        got = {end["target"]: end["verdict"] for end in act.finished}
        return [] if got == wanted else [f"the verdicts are {got}, not {wanted}"]

    faults = []
    if bad == "qemu":
        faults.append(Fault("qemu", KILL, "output", stage.rng.uniform(0, 1), target=names[place]))
    return one(Act(PATIENCE, [Ending(None, 1)], faults, check=check, targets=3))


def on_terminal(stage):
    """With a terminal as input and output, which is as it was in the end."""
    kind = stage.rng.choice(["pass", "shell", "cancelled", "worker", "qemu", "hang up"])
    args = kernel_args(stage, "-" if kind != "pass" else "echo ready; exit 5")
    wanted, faults, typed, orphans = 5, [], b"", False
    late = ("command", stage.rng.uniform(0, 2))
    if kind == "shell":
        typed = b"exit 5\n"
    elif kind in ("cancelled", "hang up"):
        number = HUP if kind == "hang up" else TERM
        faults, wanted = [Fault("signal", number, *late)], CANCELLED[number]
    elif kind in ("worker", "qemu"):
        faults, wanted, orphans = [Fault(kind, KILL, *late)], 69, kind == "worker"
    return Plan([Act(args, [Ending(None, wanted)], faults, json=False, terminal=True, typed=typed)], debris=orphans,
                orphans=orphans, recover=kernel_args(stage, "true", cold=False) if orphans else [])


def image_passes(stage):
    return one(Act(image_args(stage, "echo ready; cat /proc/uptime >/dev/null", cold=stage.rng.random() < 0.2), [PASS],
                   check=written(b"ready\n")))


def image_goes_down(stage):
    """Its agent is a process as any other."""
    command, ending = stage.rng.choice([
        ("kill -9 $PPID; sleep 100", Ending("lost", 69, ("command",), "agent in the guest has ended")),
        ("sync; echo b > /proc/sysrq-trigger; sleep 100", Ending("lost", 69, ("command",), "rebooted")),
        ("sync; echo o > /proc/sysrq-trigger; sleep 100", Ending("lost", 69, ("command",), "powered off")),
        ("echo c > /proc/sysrq-trigger; sleep 100", Ending("panic", 69, ("command",), "sysrq triggered crash"))])
    return one(Act(image_args(stage, command), [ending]))


def image_qemu_is_killed(stage):
    return qemu_is_killed(stage, image_args)


def image_is_cancelled(stage):
    return is_cancelled(stage, image_args)


def image_vmtest_is_killed(stage):
    return (vmtest_is_killed if stage.rng.random() < 0.6 else worker_is_killed)(stage, image_args)


# How often each is drawn, beside the once that each has when there are runs enough.
TABLE = [
    (6, passes), (4, fails), (3, ends_by_signal), (4, output), (3, piped_input), (1, no_input), (3, timeout),
    (2, boot_timeout), (3, panics), (3, powers_off), (3, reboots), (2, kills_agent), (1, fork_bomb), (1, out_of_memory),
    (8, qemu_is_killed), (3, qemu_aborts), (4, qemu_is_killed_at_the_end), (8, worker_is_killed), (8, vmtest_is_killed),
    (4, vmtest_is_killed_at_the_end), (8, is_cancelled), (5, making_is_struck), (4, is_cancelled_at_the_end),
    (5, is_cancelled_twice), (4, nobody_reads), (1, bad_kernel), (1, missing_kernel), (4, cache_is_cleaned), (3, template_is_damaged),
    (2, small_cache), (5, together), (2, first_use_is_killed), (4, several_targets), (4, on_terminal),
    (2, image_passes), (2, image_goes_down), (2, image_qemu_is_killed), (2, image_is_cancelled),
    (3, image_vmtest_is_killed),
]


def draw(rng, count, only=()):
    """The scenarios of a soak in their order."""
    table = [(weight, scenario) for weight, scenario in TABLE if not only or scenario.__name__ in only]
    scenarios = [scenario for _, scenario in table]
    drawn = scenarios[:] if count >= len(scenarios) else []
    drawn += rng.choices(scenarios, [weight for weight, _ in table], k=count - len(drawn))
    rng.shuffle(drawn)
    return drawn
