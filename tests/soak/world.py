# SPDX-License-Identifier: Apache-2.0
"""A private home, cache and temporary directory for vmtest, and what is in them that should not be."""
import os
import re
import shutil

KEY = "[0-9a-f]{32}"
# All that a cache may hold: what has been published under its final name.
PUBLISHED = re.compile("|".join([
    r"kernels", rf"kernels/{KEY}\.(vmlinux|nopvh)",
    r"qemu", rf"qemu/{KEY}",
    r"modules", rf"modules/{KEY}\.list", rf"modules/{KEY}(/.*)?",
    r"templates", rf"templates/{KEY}", rf"templates/{KEY}/(memory|state|disk|meta\.json|used)"]))
# What is remembered of the targets of a file, for --failed.
REMEMBERED = re.compile(rf"vmtest|vmtest/history|vmtest/history/{KEY}\.json")
UNFINISHED = re.compile(r".*\.[0-9A-Za-z]{6}\.vmtest-new")
TEMPLATE = re.compile(rf"templates/{KEY}")
NEEDED = ("memory", "state", "meta.json", "used")
SHARED_MEMORY = "/dev/shm"


def walk(top):
    """The paths below a directory, relative to it; a file that goes away meanwhile is no matter."""
    found = []
    for directory, names, files in os.walk(top):
        found += [os.path.relpath(os.path.join(directory, name), top) for name in names + files]
    return sorted(found)


def identity(path):
    """As /proc/locks names a file; None when there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"


def shared_memory():
    """Of vmtest, that is; a fuzz target that runs beside the soak keeps its files there."""
    names = os.listdir(SHARED_MEMORY) if os.path.isdir(SHARED_MEMORY) else []
    return {name for name in names if "vmtest" in name and not name.startswith("vmtest-fuzz-")}


class World:
    EMPTY = ("home", "tmp", "run")
    PLACES = (*EMPTY, "state", "cache")

    def __init__(self, path, mark):
        self.path, self.mark = path, mark
        self.caches = [f"{path}/cache"]
        for name in self.PLACES:
            os.makedirs(f"{path}/{name}", exist_ok=True)
        os.chmod(f"{path}/run", 0o700)
        self.shared = shared_memory()

    def environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8", "TERM": "xterm",
                "HOME": f"{self.path}/home", "XDG_CACHE_HOME": f"{self.path}/cache", "TMPDIR": f"{self.path}/tmp",
                "XDG_STATE_HOME": f"{self.path}/state", "XDG_RUNTIME_DIR": f"{self.path}/run", "VMTEST_SOAK": self.mark}

    def store(self):
        return f"{self.path}/cache/vmtest/templates"

    def templates(self):
        return [name for name in walk(self.store()) if re.fullmatch(KEY, name)]

    def leftovers(self):
        """Files that should not be there."""
        left = [f"{name}/{entry}" for name in self.EMPTY for entry in walk(f"{self.path}/{name}")]
        left += [f"state/{entry}" for entry in walk(f"{self.path}/state") if not REMEMBERED.fullmatch(entry)]
        for cache in self.caches:
            left += [f"{os.path.basename(cache)}/{entry}" for entry in self.unpublished(cache)]
        return left + sorted(f"{SHARED_MEMORY}/{name}" for name in shared_memory() - self.shared)

    @staticmethod
    def unpublished(cache):
        for entry in walk(cache):
            inner = os.path.relpath(entry, "vmtest")
            path = f"{cache}/{entry}"
            if entry == "vmtest":
                continue
            if not PUBLISHED.fullmatch(inner) or UNFINISHED.fullmatch(inner):
                yield entry
            elif TEMPLATE.fullmatch(inner):
                missing = [name for name in NEEDED if not os.path.exists(f"{path}/{name}")]
                if missing and os.path.isdir(path):
                    yield f"{entry} without {', '.join(missing)}"

    def locks(self, *more):
        """Lines of /proc/locks that are about a file of ours."""
        paths = [self.path, *more]
        paths += [f"{top}/{entry}" for top in [self.path, *self.caches[1:]] for entry in walk(top)]
        ours = {identity(path): path for path in paths}
        with open("/proc/locks", encoding="ascii") as file:
            lines = [line.split() for line in file]
        return [f"{' '.join(words)} {ours[words[-3]]}" for words in lines if len(words) >= 8 and words[-3] in ours]

    def add_cache(self, path):
        """Another cache for one run, looked at as the first."""
        os.makedirs(path)
        self.caches.append(path)
        return path

    def forget(self):
        """Takes away what a run has left, so that the next one starts clean."""
        for extra in self.caches[1:]:
            shutil.rmtree(extra, ignore_errors=True)
        del self.caches[1:]
        for name in (*self.EMPTY, "state"):
            shutil.rmtree(f"{self.path}/{name}", ignore_errors=True)
            os.makedirs(f"{self.path}/{name}")
        os.chmod(f"{self.path}/run", 0o700)
        for entry in list(self.unpublished(self.caches[0])):
            path = f"{self.caches[0]}/{entry.split(' without ')[0]}"
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.lexists(path):
                os.unlink(path)
        for name in shared_memory() - self.shared:
            self.shared.add(name)
