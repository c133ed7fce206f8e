# SPDX-License-Identifier: Apache-2.0
"""Templates with real machines: what a clone shares with the machine it was made of, and what it must not."""
import glob
import json
import os
import shutil
import subprocess
import time

import pytest

from conftest import build_image, package_of, read_file, write_file

pytestmark = pytest.mark.skipif(bool(os.environ.get("VMTEST_COLD")), reason="this pass is the one without templates")
FROM_TEMPLATE = "===> Booting (from template)"


class Cache:
    """A cache directory of its own: kernels and modules come from the one that all tests share."""

    def __init__(self, path, shared):
        self.path = str(path)
        os.makedirs(self.path, exist_ok=True)
        for name in ("kernels", "modules"):
            if os.path.isdir(f"{shared}/{name}"):
                os.symlink(f"{shared}/{name}", f"{self.path}/{name}")

    @property
    def env(self):
        return {"VMTEST_CACHE_DIR": self.path}

    def templates(self):
        return sorted(glob.glob(f"{self.path}/templates/[0-9a-f]*"))


@pytest.fixture(scope="class")
def cache(tmp_path_factory, environment):
    return Cache(tmp_path_factory.mktemp("cache"), environment["VMTEST_CACHE_DIR"])


@pytest.fixture
def fresh_cache(tmp_path, environment):
    return Cache(tmp_path / "cache", environment["VMTEST_CACHE_DIR"])


def cloned(result):
    return FROM_TEMPLATE in result.err


class TestKernelClones:
    """For each kernel: one cold run that makes the template, then clones."""

    SCRIPT = r"""
        date +%s.%N
        cat /proc/sys/kernel/random/uuid
        /usr/bin/python3 -c 'import os; print(os.getrandom(16).hex())'
        grep -m1 stack /proc/self/maps
        hostname; nproc; pwd
        echo "$VMTEST_TEST_SECRET"
        cat shared; echo "$VMTEST_TEST_SECRET" > "written-$VMTEST_TEST_SECRET"
        test -e /only-in-one-clone && echo shines through; touch /only-in-one-clone
        awk '{print $1}' /proc/uptime
        exit 4
    """

    @pytest.fixture(scope="class")
    def cache(self, kernels, tmp_path_factory, environment):
        """One for each kernel."""
        return Cache(tmp_path_factory.mktemp("cache"), environment["VMTEST_CACHE_DIR"])

    @pytest.fixture(scope="class")
    def results(self, run, kernels, cache, project):
        results = []
        for i in range(4):
            write_file(f"{project}/shared", f"as of run {i}\n")
            before = time.time()
            result = run(["-k", kernels, "--memory", "1G", self.SCRIPT], cwd=project,
                         env={**cache.env, "VMTEST_TEST_SECRET": f"secret-of-run-{i}"})
            result.between = before, time.time()
            result.lines = result.out.splitlines()
            results.append(result)
        return results

    def test_the_first_boots_and_the_others_are_clones(self, results, cache):
        assert [cloned(result) for result in results] == [False, True, True, True], str(results)
        assert len(cache.templates()) == 1

    def test_all_say_the_same(self, results, project):
        for i, result in enumerate(results):
            assert result.status == 4, str(result)
            assert result.lines[4:9] == ["vmtest", "2", project, f"secret-of-run-{i}", f"as of run {i}"], str(result)
            assert len(result.lines) == 10, str(result)
            assert read_file(f"{project}/written-secret-of-run-{i}") == f"secret-of-run-{i}\n".encode()

    def test_the_clock_is_right(self, results):
        for result in results:
            begin, end = result.between
            assert begin - 0.05 <= float(result.lines[0]) <= end + 0.05, str(result)

    def test_random_numbers_differ(self, results):
        for what in (1, 2, 3):
            values = [result.lines[what] for result in results]
            assert len(set(values)) == len(values), values

    def test_the_monotonic_clock_does_not_run_backwards(self, results):
        assert float(results[1].lines[9]) > 0.5

    def test_nothing_of_the_run_is_in_the_template(self, results, cache):
        for name in ("memory", "state", "meta.json"):
            found = subprocess.run(["grep", "-c", "-a", "-F", "secret-of-run", f"{cache.templates()[0]}/{name}"],
                                   stdout=subprocess.PIPE, check=False)
            assert found.stdout.strip() == b"0", name

    def test_its_files_are_private(self, results, cache):
        directory = cache.templates()[0]
        assert os.stat(directory).st_mode & 0o777 == 0o700
        for name in os.listdir(directory):
            assert os.stat(f"{directory}/{name}").st_mode & 0o777 == 0o600, name


class TestKeys:
    """What makes another template, and what does not."""

    @pytest.fixture(scope="class")
    def made(self, run, kernel, cache, project):
        assert run(["-k", kernel, "true"], cwd=project, env=cache.env).status == 0
        return cache

    def test_another_project_uses_the_same(self, run, kernel, made, tmp_path):
        write_file(tmp_path / "mine", "from the other project\n")
        result = run(["-k", kernel, "cat mine"], cwd=tmp_path, env=made.env)
        assert cloned(result) and result.out == "from the other project\n", str(result)

    def test_another_root_directory_uses_the_same(self, run, kernel, made, project, tmp_path):
        busybox = shutil.which("busybox")
        os.makedirs(tmp_path / "bin")
        shutil.copy(busybox, tmp_path / "bin/busybox")
        result = run(["-k", kernel, "-r", tmp_path, "busybox ls /bin"], cwd=project, env=made.env)
        assert cloned(result) and result.out == "busybox\n", str(result)

    @pytest.mark.parametrize("args,script,expected", [
        (["--num-cpus", "1"], "nproc", "1"),
        (["--memory", "1G"], "awk '/MemTotal/ {print ($2 < 1048576)}' /proc/meminfo", "1"),
        (["--kargs", "vmtest.key=1"], "grep -o vmtest.key=1 /proc/cmdline", "vmtest.key=1"),
    ])
    def test_settings_make_another(self, run, kernel, made, project, args, script, expected):
        before = len(made.templates())
        first = run(["-k", kernel, *args, script], cwd=project, env=made.env)
        second = run(["-k", kernel, *args, script], cwd=project, env=made.env)
        assert (cloned(first), cloned(second)) == (False, True), str(first) + str(second)
        assert first.out == second.out == expected + "\n", str(first) + str(second)
        assert len(made.templates()) == before + 1

    def test_no_template_boots_cold(self, run, kernel, made, project):
        assert not cloned(run(["-k", kernel, "--no-template", "true"], cwd=project, env=made.env))


class TestDamage:
    """A template that is of no use costs a cold boot, and nothing else."""

    @pytest.fixture(scope="class")
    def made(self, run, kernel, cache, project):
        def made():
            if not cache.templates():
                assert run(["-k", kernel, "true"], cwd=project, env=cache.env).status == 0
            return cache.templates()[0]

        return made

    @staticmethod
    def truncate(path):
        os.truncate(f"{path}/memory", os.path.getsize(f"{path}/memory") - 4096)

    @staticmethod
    def flip_state(path):
        with open(f"{path}/state", "r+b") as file:
            file.seek(os.path.getsize(f"{path}/state") // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x10]))

    @staticmethod
    def garble_meta(path):
        write_file(f"{path}/meta.json", "{")

    @staticmethod
    def touch_memory(path):
        os.utime(f"{path}/memory", (1, 1))

    @staticmethod
    def remove_state(path):
        os.unlink(f"{path}/state")

    @pytest.mark.parametrize("how", ["truncate", "flip_state", "garble_meta", "touch_memory", "remove_state"])
    def test_it_is_thrown_away(self, run, kernel, made, cache, project, how):
        getattr(self, how)(made())
        result = run(["-k", kernel, "echo fine; exit 5"], cwd=project, env=cache.env)
        assert not cloned(result), str(result)
        assert (result.out, result.status) == ("fine\n", 5), str(result)
        again = run(["-k", kernel, "echo fine; exit 5"], cwd=project, env=cache.env)
        assert cloned(again) and again.status == 5, str(again)


def test_a_run_that_is_killed_leaves_no_template(start, run, kernel, fresh_cache, project):
    for delay in (0.5, 2, 3):
        process = start(["-k", kernel, "true"], cwd=project, env=fresh_cache.env, stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    result = run(["-k", kernel, "exit 6"], cwd=project, env=fresh_cache.env)
    assert result.status == 6, str(result)
    assert os.listdir(f"{fresh_cache.path}/templates") == [os.path.basename(path) for path in fresh_cache.templates()]


def test_two_at_once_make_one(start, kernel, fresh_cache, project):
    both = [start(["-k", kernel, f"echo {i}; exit {i}"], cwd=project, env=fresh_cache.env, stdin=subprocess.DEVNULL,
                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for i in (7, 8)]
    assert [process.communicate(timeout=120)[0] for process in both] == [b"7\n", b"8\n"]
    assert [process.returncode for process in both] == [7, 8]
    assert len(fresh_cache.templates()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_means_no_template(run, kernel, project, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", small], check=True)
    try:
        result = run(["-k", kernel, "echo fine"], cwd=project, env={"VMTEST_CACHE_DIR": str(small)})
        left = glob.glob(f"{small}/templates/*/memory")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert (result.out, result.status) == ("fine\n", 0), str(result)
    assert left == []


class TestImageClones:
    @pytest.fixture(scope="class")
    def image(self, tmp_path_factory):
        path = tmp_path_factory.mktemp("image") / "disk.raw"
        subprocess.run(["cp", "--sparse=always", build_image("mini"), path], check=True)
        return path

    @pytest.fixture(scope="class")
    def first(self, run, image, cache, project):
        return run(["-i", image, "echo first > /first; sync; cat /mnt/vmtest/f || true"], cwd=project, env=cache.env,
                   timeout=300)

    def test_the_second_is_a_clone_of_the_disk_before_the_command(self, run, image, first, cache, project):
        write_file(f"{project}/f", "now\n")
        result = run(["-i", image, "test ! -e /first && cat /mnt/vmtest/f; exit 9"], cwd=project, env=cache.env)
        assert first.status == 0 and not cloned(first), str(first)
        assert cloned(result), str(result)
        assert (result.out, result.status) == ("now\n", 9), str(result)

    def test_two_at_once_do_not_see_each_other(self, start, image, first, cache, project):
        script = "echo {0} > /mine; touch /mnt/vmtest/ready-{0}; until test -e /mnt/vmtest/ready-{1}; do :; done; cat /mine"
        both = [start(["-i", image, script.format(*pair)], cwd=project, env=cache.env, stdin=subprocess.DEVNULL,
                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for pair in [("a", "b"), ("b", "a")]]
        assert [process.communicate(timeout=120)[0] for process in both] == [b"a\n", b"b\n"]

    def test_random_numbers_and_clock(self, run, image, first, cache, project):
        values = []
        for _ in range(3):
            before = time.time()
            result = run(["-i", image, "cat /proc/sys/kernel/random/uuid; date +%s"], cwd=project, env=cache.env)
            assert cloned(result), str(result)
            uuid, clock = result.out.split()
            assert int(before) <= int(clock) <= time.time(), str(result)
            values.append(uuid)
        assert len(set(values)) == 3

    def test_an_image_that_changed_makes_another(self, run, image, first, cache, project):
        before = len(cache.templates())
        os.utime(image)
        result = run(["-i", image, "true"], cwd=project, env=cache.env, timeout=300)
        assert result.status == 0 and not cloned(result), str(result)
        assert len(cache.templates()) == before + 1


def test_what_an_image_consists_of_is_in_its_key(run, fresh_cache, project, tmp_path):
    """The file that holds a qcow2's data changes, and the qcow2 itself does not."""
    data, image = tmp_path / "data.raw", tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", "-o", f"data_file={data},data_file_raw=on", build_image("mini"),
                    image], check=True)
    for of_template in (False, True):
        result = run(["-i", image, "true"], cwd=project, env=fresh_cache.env, timeout=300)
        assert (result.status, cloned(result)) == (0, of_template), str(result)
    os.utime(data)
    result = run(["-i", image, "true"], cwd=project, env=fresh_cache.env, timeout=300)
    assert (result.status, cloned(result)) == (0, False), str(result)


def test_the_verb_shows_what_there_is(run, kernel, fresh_cache, project):
    assert run(["-k", kernel, "true"], cwd=project, env=fresh_cache.env).status == 0
    listed = json.loads(run(["cache", "list", "--format", "json"], env=fresh_cache.env).out)
    assert len(listed) == 1
    assert package_of(kernel).release in json.dumps(listed), listed
    verified = run(["cache", "verify"], env=fresh_cache.env)
    assert verified.status == 0, str(verified)
    with open(f"{fresh_cache.templates()[0]}/memory", "r+b") as file:
        stat = os.stat(file.fileno())
        file.seek(os.lseek(file.fileno(), 0, os.SEEK_DATA))
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    os.utime(f"{fresh_cache.templates()[0]}/memory", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert run(["cache", "verify"], env=fresh_cache.env).status == 1
    assert fresh_cache.templates() == []
