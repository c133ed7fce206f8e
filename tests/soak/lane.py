# SPDX-License-Identifier: Apache-2.0
"""A lane: a process that does one run after another in a world of its own and looks at what each has left.

It is the subreaper of all that it starts, so that whatever is still there after a run is found below it, whoever
started it and however it was detached.
"""
import os
import random
import resource
import shutil
import signal
import time
import traceback
from dataclasses import dataclass, field

import procs
from act import Act, Ending
from scenarios import PASS, Stage
from world import World

GRACE = 2.0
LATE = 30.0
HARD_LIMIT = 300.0
TICK = 0.01


@dataclass
class Result:
    index: int
    scenario: str
    seconds: float = 0.0
    faults: int = 0
    struck: int = 0  # of the faults; one may come too late
    problems: list = field(default_factory=list)
    left: dict = field(default_factory=lambda: {"process": 0, "file": 0, "lock": 0, "zombie": 0})
    slowest: float = 0.0  # seconds until the last process had gone
    kept: str = ""


@dataclass
class Config:
    seed: int
    program: str
    kernel: str
    image: str
    top: str


class Lane:
    def __init__(self, config, number):
        self.config = config
        procs.prctl(procs.PR_SET_PDEATHSIG, signal.SIGTERM)
        procs.prctl(procs.PR_SET_CHILD_SUBREAPER, 1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for one in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(one, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, self.on_term)
        self.world = World(f"{config.top}/lane{number}", f"{config.seed}-{number}")
        # One of its own, since others may lock theirs.
        self.image = f"{self.world.path}/mini.raw"
        if not os.path.exists(self.image):
            copy_sparse(config.image, self.image)

    def on_term(self, *_):
        procs.end_all(os.getpid())
        os._exit(143)

    def run(self, index, scenario):
        result = Result(index, scenario.__name__)
        directory = f"{self.config.top}/run{index:05d}-{scenario.__name__}"
        work = f"{directory}/work"
        os.makedirs(work)
        began = time.monotonic()
        acts = []
        try:
            plan = scenario(Stage(random.Random(f"{self.config.seed}-{index}"), self.world, work, self.config.kernel,
                                  self.image))
            acts = plan.acts
            if plan.clear:
                clear = Act(["cache", "clear"], [Ending(None, 0)], json=False, is_run=False)
                self.play([clear], directory, work, result, first=len(acts))
            given = self.listing(work)
            self.play(plan.acts, directory, work, result)
            self.look(plan, result)
            if plan.debris and not result.problems:
                acts = acts + self.recover(plan, directory, work, result)
            new = [name for name in self.listing(work) if name not in given]
            if new:
                result.left["file"] += len(new)
                result.problems.append(f"left in the shared directory: {new}")
        except Exception:  # of the soak itself: counted, and the next run is done
            result.problems.append("the soak failed: " + traceback.format_exc().splitlines()[-1])
            with open(f"{directory}/traceback", "w", encoding="utf-8") as file:
                traceback.print_exc(file=file)
        faults = [fault for act in acts for fault in act.faults]
        result.faults, result.struck = len(faults), sum(fault.struck is not None for fault in faults)
        result.seconds = time.monotonic() - began
        self.tidy(acts, directory, result)
        return result

    @staticmethod
    def listing(work):
        return sorted(os.listdir(work))

    def play(self, acts, directory, work, result, first=0):
        """Starts the acts when it is time, strikes them, and waits until all have ended."""
        began = time.monotonic()
        env = self.world.environment()
        for number, act in enumerate(acts, first):
            act.prepare(number, directory, work, self.config.program, env)
        waiting, running = list(acts), []
        while waiting or running:
            now = time.monotonic() - began
            for act in [act for act in waiting if act.start_after <= now]:
                waiting.remove(act)
                act.start()
                running.append(act)
            running = [act for act in running if act.step()]
            if now > HARD_LIMIT:
                self.hang(running, directory, result)
                break
            time.sleep(TICK)
        for act in acts:
            if not act.hung:
                result.problems += act.problems()

    @staticmethod
    def hang(running, directory, result):
        with open(f"{directory}/processes", "a", encoding="utf-8") as file:
            file.write(procs.dump(os.getpid()))
        for act in running:
            act.hung = True
        result.problems.append(f"hung: acts {[act.number for act in running]} after {HARD_LIMIT:.0f} s")
        procs.end_all(os.getpid())

    def look(self, plan, result, after_recovery=False):
        """What is there after a run, within the grace."""
        ended = time.monotonic()
        hung = any(act.hung for act in plan.acts)  # then all was killed
        patient = hung or (plan.debris and not after_recovery)
        zombies = 0
        while True:
            # A process whose threads have not all ended is a zombie already, but cannot be waited for yet.
            zombies += procs.reap()
            alive = procs.descendants(os.getpid())
            left = [] if patient else self.world.leftovers()
            locks = self.world.locks()
            if not (alive or left or locks):
                break
            if time.monotonic() - ended > GRACE:
                break
            time.sleep(TICK)
        result.slowest = max(result.slowest, time.monotonic() - ended)
        if alive:
            result.problems += [f"left running: {procs.describe(one)}" for one in alive]
            result.problems.append(self.wait_longer(ended))
        result.problems += [f"left behind: {name}" for name in left]
        result.problems += [f"left locked: {line}" for line in locks]
        if zombies and not plan.orphans and not hung:
            result.problems.append(f"{zombies} processes were not waited for")
            result.left["zombie"] += zombies
        result.left["process"] += len(alive)
        result.left["file"] += len(left)
        result.left["lock"] += len(locks)

    @staticmethod
    def wait_longer(ended):
        """Whether what was not gone in time is late or stays for good."""
        while time.monotonic() - ended < LATE:
            procs.reap()
            if not procs.descendants(os.getpid()):
                return f"gone after {time.monotonic() - ended:.1f} s"
            time.sleep(TICK)
        return f"not gone after {LATE:.0f} s either"

    def recover(self, plan, directory, work, result):
        """What was killed could not tidy up: the next start does, and is none the worse for it."""
        acts = [Act(plan.recover, [PASS], env=plan.acts[0].env)]
        self.play(acts, directory, work, result, first=len(plan.acts))
        plan.orphans = False
        self.look(plan, result, after_recovery=True)
        return acts

    def tidy(self, acts, directory, result):
        if result.problems:
            with open(f"{directory}/commands", "w", encoding="utf-8") as file:
                file.write("\n".join(act.describe() for act in acts if hasattr(act, "argv")))
            with open(f"{directory}/problems", "w", encoding="utf-8") as file:
                file.write("\n".join(result.problems) + "\n")
            if not os.path.exists(f"{directory}/processes"):
                with open(f"{directory}/processes", "w", encoding="utf-8") as file:
                    file.write(procs.dump(os.getpid()))
            result.kept = directory
        procs.end_all(os.getpid())
        self.world.forget()
        if not result.problems:
            shutil.rmtree(directory, ignore_errors=True)


def copy_sparse(source, target):
    """A copy that has the holes of what it is a copy of."""
    with open(source, "rb") as old, open(target, "wb") as new:
        while piece := old.read(1 << 16):
            if piece.count(0) == len(piece):
                new.seek(len(piece), os.SEEK_CUR)
            else:
                new.write(piece)
        new.truncate(old.tell())
