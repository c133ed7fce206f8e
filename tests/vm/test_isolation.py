# SPDX-License-Identifier: Apache-2.0
"""What a guest cannot do to the host, how QEMU is kept from it, and that nothing of this needs a privilege.

What QEMU's process could reach if it tried is in tests/peers/test_confine.py.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import uuid

import pytest

from conftest import TOP, read_file, wait_for, write_file

FROM_TEMPLATE = "===> Booting (from template)"


def snapshot(top, content=True):
    """What there is below a directory: {path: what lstat(2) says, and the content}."""
    found = {}
    for directory, directories, files in os.walk(top):
        for name in [".", *directories, *files]:
            path = os.path.normpath(os.path.join(directory, name))
            stat = os.lstat(path)
            found[path] = [stat.st_mode, stat.st_uid, stat.st_gid, stat.st_ino, stat.st_nlink, stat.st_mtime_ns,
                           stat.st_ctime_ns]
            if os.path.islink(path):
                found[path].append(os.readlink(path))
            elif os.path.isfile(path):
                found[path].append(hashlib.sha256(read_file(path)).hexdigest() if content else stat.st_size)
    return found


def differences(before, after):
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def make_canary(top):
    """Files of many kinds."""
    write_file(f"{top}/directory/file", "text of the host\n")
    write_file(f"{top}/program", "#!/bin/sh\n", 0o755)
    write_file(f"{top}/empty", "")
    os.symlink("/etc/passwd", f"{top}/absolute")
    os.symlink("directory/file", f"{top}/relative")
    os.link(f"{top}/program", f"{top}/directory/linked")
    os.mkfifo(f"{top}/fifo")
    os.chmod(write_file(f"{top}/unreadable", "x"), 0)
    return top


def copy_program(path, root):
    """A program and its libraries at the same paths below another root."""
    listed = subprocess.run(["ldd", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    for file in [path, *re.findall(r"(/\S+) \(0x", listed)]:
        os.makedirs(os.path.dirname(f"{root}{file}"), exist_ok=True)
        shutil.copy(file, f"{root}{file}")


# What is left is told by the shell alone: there is no other program any more.
REMOVE = """
rm -rf --no-preserve-root / 2>/dev/null
echo removed
for path in /bin/rm /bin/bash /etc/passwd /canary/program /canary/directory; do
    test -e $path && echo "still there: $path"
done
echo in the share: /mnt/vmtest/*
echo written > /mnt/vmtest/after
echo written > /canary-after
"""


class TestRemovingEverything:
    """Of a root of its own: every byte of it is compared."""

    @pytest.fixture(scope="class")
    def root(self, project):
        root = f"{project}/root"
        for program in ("/bin/bash", "/bin/rm"):
            copy_program(program, root)
        for name in ("lib/modules", "mnt/vmtest", "proc", "sys", "dev", "tmp", "run"):
            os.makedirs(f"{root}/{name}", exist_ok=True)
        write_file(f"{root}/etc/passwd", "root:x:0:0::/root:/bin/bash\n")
        make_canary(f"{root}/canary")
        return root

    @pytest.fixture(scope="class")
    def result(self, run, root, project, kernel):
        outside = make_canary(f"{project}/outside")
        write_file(f"{project}/share/file", "to be removed\n")
        before = snapshot(root), snapshot(outside)
        result = run(["-k", kernel, "-r", root, REMOVE], cwd=f"{project}/share")
        result.changed = differences(before[0], snapshot(root)), differences(before[1], snapshot(outside))
        return result

    def test_the_guest_has_removed_it_all(self, result):
        assert result.out == "removed\nin the share: /mnt/vmtest/*\n", str(result)

    def test_not_a_byte_of_the_root_has_changed(self, result):
        assert result.changed[0] == []

    def test_nothing_beside_the_share_has_changed(self, result):
        assert result.changed[1] == []

    def test_the_share_is_what_the_guest_left_there(self, result, project):
        assert os.listdir(f"{project}/share") == ["after"]
        assert read_file(f"{project}/share/after") == b"written\n"


class TestRemovingTheHost:
    """Over the host's own root, whose size nobody knows: the guest stops after so many seconds of it."""

    # What no other process changes meanwhile. Of the greater directories, that all they hold is there afterwards.
    TREES = ["/etc", "/boot", "/usr/bin", "/usr/sbin", f"{TOP}/src", f"{TOP}/agent"]
    TOPS = ["/", "/usr", "/usr/lib", "/var", "/var/lib", "/root", "/home", TOP]

    @pytest.fixture(scope="class", params=[20, pytest.param(180, marks=pytest.mark.slow)])
    def seconds(self, request):
        return request.param

    @pytest.fixture(scope="class")
    def project(self, project, seconds):
        path = f"{project}/{seconds}"
        os.makedirs(path)
        return path

    def look(self, project):
        trees = {}
        for tree in self.TREES:
            trees.update(snapshot(tree, content=False))
        trees.update(snapshot(f"{project}/outside"))
        names = {f"{top}/{name}" for top in self.TOPS if os.path.isdir(top) for name in os.listdir(top)}
        return trees, names

    @pytest.fixture(scope="class")
    def result(self, run, kernel, project, seconds):
        make_canary(f"{project}/outside")
        write_file(f"{project}/share/file", "to be removed\n")
        before = self.look(project)
        script = f"""
            shopt -s dotglob nullglob
            rm -rf {project}/outside /etc /boot 2>/dev/null
            timeout -s KILL {seconds} rm -rf --no-preserve-root / 2>/dev/null
            echo left: {project}/* /etc/* /boot/*
            echo written > /etc/passwd; mkdir /new; echo written > /new/file
            echo written > {project}/share/after
            echo done
        """
        result = run(["-k", kernel, script], cwd=f"{project}/share", timeout=seconds + 300)
        after = self.look(project)
        result.changed, result.missing = differences(before[0], after[0]), sorted(before[1] - after[1])
        result.new = after[1] & {"//new"}
        return result

    def test_the_guest_has_removed_what_it_was_told_to(self, result, project):
        assert result.out.splitlines()[-1] == "done", str(result)
        left = [line for line in result.out.splitlines() if line.startswith("left:")][0].split()[1:]
        assert f"{project}/outside" not in left and not [path for path in left if path.startswith(("/etc", "/boot"))]

    def test_nothing_has_changed_on_the_host(self, result):
        assert (result.changed, result.missing, result.new) == ([], [], set())

    def test_what_was_written_in_the_share_afterwards_is_there(self, result, project):
        assert read_file(f"{project}/share/after") == b"written\n"


class TestLinksOutOfTheShare:
    """A link on the share leads somewhere in the guest, wherever on the host it would lead to."""

    SCRIPT = """
        cd /mnt/vmtest
        try() { echo "$1: $(cat "$2" 2>&1)"; }
        try absolute absolute; try relative relative; try through directory/file; try up up/secret/file
        echo changed > absolute; echo changed > relative; echo changed > directory/file
        ln -s SECRET/made made && echo made > made
        ln -s SECRET other && echo made > other/made-too && rm other/file
        ln -sf ../secret up-again && rm -rf up-again/
        cp -r --no-dereference absolute copied && echo changed > copied
        # Now the host puts a link in the place of the directory in which this shell is.
        cd moving/inner
        touch /mnt/vmtest/ready
        until test -e /mnt/vmtest/go; do :; done
        try moved file; try moved-again ./file; try by-path /mnt/vmtest/moving/inner/file
        echo changed > file; echo changed > new; echo changed > /mnt/vmtest/moving/inner/new; rm -f file
        true
    """

    @pytest.fixture(scope="class")
    def directory(self, project):
        """SECRET is the same path on both sides, and other files."""
        secret = f"{project}/secret"
        make_canary(secret)
        write_file(f"{secret}/file", "of the host\n")
        write_file(f"{secret}/inner/file", "of the host\n")
        root = f"{project}/root"
        for program in ("/bin/bash", "/bin/cat", "/bin/ln", "/bin/rm", "/bin/cp", "/bin/touch"):
            copy_program(program, root)
        write_file(f"{root}{secret}/file", "of the guest\n")
        share = f"{project}/share"
        os.makedirs(share)
        os.symlink(f"{secret}/file", f"{share}/absolute")
        os.symlink("../secret/file", f"{share}/relative")
        os.symlink(secret, f"{share}/directory")
        os.symlink("..", f"{share}/up")
        write_file(f"{share}/moving/inner/file", "of the share\n")
        return project

    @pytest.fixture(scope="class")
    def result(self, start, directory, kernel):
        secret, share = f"{directory}/secret", f"{directory}/share"
        before = snapshot(secret), snapshot(f"{directory}/root")
        process = start(["-k", kernel, "-r", f"{directory}/root", self.SCRIPT.replace("SECRET", secret)], cwd=share,
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: os.path.exists(f"{share}/ready"), 120)
        os.rename(f"{share}/moving", f"{directory}/moved-away")
        os.symlink(secret, f"{share}/moving")
        write_file(f"{share}/go", "")
        output, errors = process.communicate(timeout=120)
        changed = differences(before[0], snapshot(secret)), differences(before[1], snapshot(f"{directory}/root"))
        return process.returncode, dict(line.split(": ", 1) for line in output.decode().splitlines()), errors, changed

    def test_it_ran_to_its_end(self, result):
        assert result[0] == 0, result

    def test_they_lead_to_the_guests_files(self, result):
        seen = result[1]
        assert (seen["absolute"], seen["through"]) == ("of the guest", "of the guest"), result
        assert "No such file" in seen["relative"] and "No such file" in seen["up"], result

    def test_a_directory_that_becomes_a_link_is_not_followed(self, result):
        for name in ("moved", "moved-again", "by-path"):
            assert "of the host" not in result[1][name], result

    def test_nothing_was_changed_where_they_lead_to_on_the_host(self, result):
        assert result[3] == ([], [])


def children(pid):
    return [int(word) for word in read_file(f"/proc/{pid}/task/{pid}/children").split()]


def qemu_of(process):
    """The QEMU of a vmtest that runs one target: its worker's child."""
    (worker,) = children(process.pid)
    (qemu,) = children(worker)
    return qemu


def descriptors_of(pid):
    """{where a descriptor leads to: how it was opened, as open(2) has it}, but for what is being closed."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            flags = re.search(r"^flags:\s+(\d+)$", read_file(f"/proc/{pid}/fdinfo/{fd}").decode(), re.M)[1]
            found[os.readlink(f"/proc/{pid}/fd/{fd}")] = int(flags, 8)
        except FileNotFoundError:
            continue
    return found


# The descriptors that a QEMU may have, by where they lead to.
EXPLAINED = {
    r"/dev/null": "standard input",
    r"pipe:.*": "standard output and error",
    r"socket:.*": "QMP, the console, the agent and the guest agent",
    r"/memfd:.*": "the initramfs, the firmware's variables, memory of which a template is made",
    r"anon_inode:.*": "QEMU's own events, and KVM",
    r"/dev/kvm": "the accelerator",
    r".*/kernels/[0-9a-f]+\.vmlinux": "the unpacked kernel",
    r".*/templates/[0-9a-f]+/(memory|disk)": "the template that it is a clone of",
    r".*/vmtest-run-[^/]*/[^/]* \(deleted\)": "the disk's overlay",
    r"/dev/urandom": "the guest's entropy",
}


class TestQemusProcess:
    """QEMU as it is seen from outside while a command runs in its guest."""

    @pytest.fixture(scope="class", params=["kernel", "image"])
    def kind(self, request):
        return request.param

    @pytest.fixture(scope="class")
    def seen(self, start, kind, kernel, image_of, project, tmp_path_factory):
        secret = f"hunter2-{uuid.uuid4().hex}"
        boots = ["-k", kernel] if kind == "kernel" else ["-i", image_of("mini")]
        script = "touch /mnt/vmtest/up; until test -e /mnt/vmtest/go; do sleep 0.1; done; ls /sys/class/net; " \
                 "echo $VMTEST_SECRET"
        for name in ("up", "go"):
            if os.path.exists(f"{project}/{name}"):
                os.unlink(f"{project}/{name}")
        with open(write_file(f"{tmp_path_factory.mktemp('host')}/inherited", ""), "rb") as inherited:
            process = start([*boots, "--accel", "tcg", "--format", "json", script], cwd=project,
                            env={"VMTEST_SECRET": secret, "VMTEST_LOG": "debug"}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[inherited.fileno()])
        # While it writes, it is read: its log is longer than a pipe holds.
        with open(f"{project}/log", "wb") as log, open(f"{project}/events", "wb") as events:
            copies = [subprocess.Popen(["cat"], stdin=process.stdout, stdout=events),
                      subprocess.Popen(["cat"], stdin=process.stderr, stdout=log)]
            wait_for(lambda: os.path.exists(f"{project}/up") or process.poll() is not None, 300)
            assert process.poll() is None, read_file(f"{project}/log").decode()[-3000:]
            pid = qemu_of(process)
            proc = f"/proc/{pid}"
            seen = {name: read_file(f"{proc}/{name}").decode() for name in ("status", "limits", "cmdline", "environ")}
            seen["descriptors"] = descriptors_of(pid)
            seen.update(pid=pid, sid=os.getsid(pid), pgid=os.getpgid(pid), secret=secret)
            write_file(f"{project}/go", "")
            seen["returned"] = process.wait(200)
            for copy in copies:
                copy.wait(60)
        seen["log"] = read_file(f"{project}/log").decode(errors="replace")
        seen["events"] = [json.loads(line) for line in read_file(f"{project}/events").splitlines()]
        return seen

    def test_the_command_ran(self, seen, kind):
        assert seen["returned"] == 0, seen["log"][-3000:]

    def test_it_gains_no_privilege_and_filters_its_system_calls(self, seen):
        assert re.search(r"^NoNewPrivs:\t1$", seen["status"], re.M)
        assert re.search(r"^Seccomp:\t2$", seen["status"], re.M)

    def test_it_leaves_no_core(self, seen):
        assert re.search(r"^Max core file size +0 +0 ", seen["limits"], re.M)

    def test_it_has_a_session_and_a_process_group_of_its_own(self, seen):
        assert (seen["sid"], seen["pgid"]) == (seen["pid"], seen["pid"])

    def test_each_of_its_descriptors_is_explained(self, seen, kind, project, image_of):
        """The guest's own open files lie in a share; over the host's root, those outside of it are read only."""
        odd = {path: flags for path, flags in seen["descriptors"].items()
               if not any(re.fullmatch(form, path) for form in EXPLAINED) and not (path + "/").startswith(f"{project}/")
               and not (flags & os.O_ACCMODE == os.O_RDONLY and (kind == "kernel" or path == image_of("mini")))}
        assert odd == {}
        assert not [path for path in seen["descriptors"] if path.endswith("/inherited")]

    def test_its_guest_has_no_network(self, seen):
        output = "".join(event["text"] for event in seen["events"] if event["event"] == "output")
        assert output.splitlines()[0] == "lo" and len(output.splitlines()) == 2, output

    def test_it_is_confined_where_the_kernel_can(self, seen):
        confined = "QEMU is confined by Landlock, ABI" in seen["log"]
        assert confined != ("QEMU is not confined to the run's files" in seen["log"]), seen["log"][:3000]

    def test_the_environment_stands_nowhere(self, seen, kind):
        for where in ("cmdline", "environ", "log"):
            assert seen["secret"] not in seen[where], where
        others = [event for event in seen["events"] if event["event"] != "output"]
        assert seen["secret"] not in json.dumps(others)
        output = "".join(event["text"] for event in seen["events"] if event["event"] == "output")
        assert (seen["secret"] in output) == (kind == "kernel"), "what the command itself prints"


class TestNobody:
    """The core of all this as a user who may do nothing and owns nothing but a home."""

    @pytest.fixture(scope="class")
    def run_as(self, run, user):
        env = {"HOME": user.home, "VMTEST_CACHE_DIR": None, "XDG_CACHE_HOME": None, "XDG_STATE_HOME": None,
               "XDG_RUNTIME_DIR": None}

        def run_as(*args, **options):
            return run([*args], cwd=user.home, env=env, program=user.vmtest, prefix=user.prefix, **options)

        return run_as

    @pytest.fixture(scope="class")
    def first(self, run_as, user):
        """The run that makes the template."""
        script = "id -u; mkdir made; echo text > made/file; ln -s file made/link; mv made moved; cat /etc/shadow"
        return run_as("-k", user.kernel, script)

    def test_the_first_run_writes_files_that_are_nobodys(self, first, user):
        assert first.out == "0\n" and first.status == 1, str(first)
        for name in ("moved", "moved/file", "moved/link"):
            assert os.lstat(f"{user.home}/{name}").st_uid == user.uid

    def test_what_nobody_may_not_read_the_guests_root_does_not_get(self, first):
        assert "/etc/shadow: Permission denied" in first.err, str(first)

    @pytest.mark.parametrize("command, status, words", [
        ("true", 0, ""),
        ("exit 3", 3, "3"),
        ("kill -SEGV $$", 139, "signal"),
        ("echo c > /proc/sysrq-trigger; sleep 100", 69, "panic: "),
    ], ids=["pass", "fail", "signal", "panic"])
    def test_verdicts_of_clones(self, run_as, first, user, command, status, words):
        result = run_as("-k", user.kernel, command)
        assert result.status == status and FROM_TEMPLATE in result.err, str(result)
        assert words in result.err, str(result)

    def test_a_timeout(self, run_as, first, user):
        result = run_as("-k", user.kernel, "--timeout", "1s", "sleep 1000")
        assert result.status == 124 and "timeout: " in result.err, str(result)

    def test_the_cache_is_listed_verified_and_cleared(self, run_as, first, user):
        listed = json.loads(run_as("cache", "list", "--format", "json").out)
        assert len(listed) == 1, listed
        assert run_as("cache", "verify").status == 0
        assert run_as("cache", "clear").status == 0
        assert json.loads(run_as("cache", "list", "--format", "json").out) == []

    @pytest.mark.slow
    def test_an_image(self, run_as, user, image_of):
        image = f"{os.path.dirname(user.home)}/disk.raw"
        subprocess.run(["cp", "--sparse=always", image_of("mini"), image], check=True)
        os.chmod(image, 0o644)
        before = hashlib.sha256(read_file(image)).hexdigest()
        result = run_as("-i", image, "id -u; echo text > /mnt/vmtest/from-image; exit 5", timeout=300)
        assert (result.out, result.status) == ("0\n", 5), str(result)
        assert os.stat(f"{user.home}/from-image").st_uid == user.uid
        assert hashlib.sha256(read_file(image)).hexdigest() == before
