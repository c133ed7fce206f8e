# SPDX-License-Identifier: Apache-2.0
"""The verb `cache`, over templates that are written here file by file, as store.h describes them."""
import ctypes
import fcntl
import json
import os
import re
import struct
import subprocess
import time

import pytest

KEYS = ("1111" + "a" * 28, "1111" + "b" * 28, "2222" + "c" * 28)
PAGE = 4096
MEMORY_SIZE = 64 * PAGE
USAGE, UNAVAILABLE = 2, 69


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def digest(data):
    """XXH3-128 as 32 digits."""
    function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    function.restype = Hash128
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    value = function(data, len(data))
    return f"{value.high:016x}{value.low:016x}"


def sparse_digest(data):
    """As src/template/sparse.c: the size, and of each run of pages that are not zero its offset, bytes and length."""
    text, run = struct.pack("<Q", len(data)), None
    for offset in range(0, len(data) + PAGE, PAGE):
        page = data[offset:offset + PAGE]
        if page.strip(b"\0"):
            if run is None:
                run, text = offset, text + struct.pack("<Q", offset)
            text += page
        elif run is not None:
            end = min(offset, len(data))
            run, text = None, text + struct.pack("<Q", end - run)
    return digest(text)


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read(36)


class Cache:
    def __init__(self, vmtest, directory):
        self.vmtest, self.directory = vmtest, directory
        self.env = {**os.environ, "VMTEST_CACHE_DIR": str(directory)}
        self.env.pop("VMTEST_CACHE_SIZE", None)

    def path(self, key):
        return self.directory / "templates" / key

    def publish(self, key, source="/boot/vmlinuz-6.1", kernel="6.1.0", data=b"", age=0, last_use=0):
        """A sound template that was made and used so many seconds ago."""
        (self.directory / "templates").mkdir(mode=0o700, parents=True, exist_ok=True)
        path, now = self.path(key), time.time()
        path.mkdir(mode=0o700)
        files = {"memory": b"\0" * PAGE + (b"memory" + data).ljust(MEMORY_SIZE - 2 * PAGE, b"\0") + b"\0" * PAGE,
                 "state": b"the state"}
        record = {"format": 1, "key": key, "source": source, "kernel_release": kernel, "qemu_version": "7.2.0",
                  "created": int((now - age) * 1e9), "files": {}}
        for name, content in files.items():
            (path / name).write_bytes(content)
            status = (path / name).stat()
            record["files"][name] = {"size": len(content), "mtime": status.st_mtime_ns, "inode": status.st_ino,
                                     "digest": sparse_digest(content)}
        record = {name: value for name, value in record.items() if value is not None}
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        # Jansson writes hexadecimal digits in capitals.
        text = re.sub(r"\\u00[0-9a-f]{2}", lambda match: "\\u" + match[0][2:].upper(), text)
        record["digest"] = digest(text.encode())
        (path / "meta.json").write_text(json.dumps(record, ensure_ascii=False))
        (path / "used").write_bytes(boot_id())
        os.utime(path / "used", (now - last_use, now - last_use))

    def run(self, *arguments, env=None, stdout=subprocess.PIPE):
        done = subprocess.run([self.vmtest, *arguments], stdout=stdout, stderr=subprocess.PIPE, timeout=60,
                              stdin=subprocess.DEVNULL, env={**self.env, **(env or {})}, cwd=self.directory)
        assert b"Sanitizer" not in done.stderr and b"runtime error:" not in done.stderr, done.stderr.decode()
        return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()

    def expect(self, *arguments, status=0, **keywords):
        """Standard output of what ends that way, and says something to standard error only when it fails."""
        got, stdout, stderr = self.run("cache", *arguments, **keywords)
        assert got == status, (got, stdout, stderr)
        assert bool(stderr) == (status in (USAGE, UNAVAILABLE)), stderr
        return stdout

    def fail(self, *arguments, status=UNAVAILABLE, **keywords):
        got, stdout, stderr = self.run("cache", *arguments, **keywords)
        assert (got, stdout) == (status, ""), (got, stdout, stderr)
        assert stderr.startswith("vmtest: ")
        assert ("Try 'vmtest --help'." in stderr) == (status == USAGE)
        return stderr

    def keys(self):
        return sorted(entry["key"] for entry in json.loads(self.expect("list", "--format", "json")))


@pytest.fixture
def cache(vmtest, tmp_path):
    directory = tmp_path / "cache"
    directory.mkdir()
    return Cache(vmtest, directory)


def test_an_empty_cache_is_said_in_one_line(cache):
    for verb in ("list", "clear", "verify"):
        assert cache.expect(verb) == f"There are no templates in {cache.directory}/templates.\n"
    assert json.loads(cache.expect("list", "--format", "json")) == []
    assert not (cache.directory / "templates").exists()


def test_the_list_is_a_table_by_last_use(cache):
    cache.publish(KEYS[0], age=3 * 86400 + 5, last_use=2 * 3600 + 5)
    cache.publish(KEYS[2], "/images/debian-12.qcow2", None, age=65, last_use=61)
    lines = cache.expect("list").splitlines()
    header = lines[0]
    columns = [header.index(title) for title in ("KEY", "MADE FROM", "KERNEL", "SIZE ON DISK", "AGE", "LAST USE")]
    rows = [[line[a:b].rstrip() for a, b in zip(columns, [*columns[1:], None])] for line in lines[1:3]]
    assert [row[:3] + row[4:] for row in rows] == [
        ["2222cccc", "debian-12.qcow2", "-", "1 minute", "1 minute ago"],
        ["1111aaaa", "vmlinuz-6.1", "6.1.0", "3 days", "2 hours ago"]]
    assert all(row[3].endswith((" kB")) for row in rows), rows
    assert len(lines) == 4 and lines[3].startswith("2 templates, ") and " kB; they may take " in lines[3], lines


def test_a_key_is_shown_as_long_as_it_takes(cache):
    cache.publish("1" * 31 + "2")
    cache.publish("1" * 10 + "2" * 22)
    cache.publish("1" * 11 + "2" * 21)
    shown = sorted(line.split()[0] for line in cache.expect("list").splitlines()[1:4])
    assert shown == ["1" * 12, "1" * 11 + "2", "1" * 10 + "22"]


def test_the_table_cannot_be_upset_by_a_name(cache):
    cache.publish(KEYS[0], "/a/\x1b[31mred\n\x9b31m")
    cache.publish(KEYS[2], "/a/日本")
    lines = cache.expect("list", env={"LC_ALL": "C.UTF-8"}).splitlines()
    assert len(lines) == 4
    assert any("?[31mred??31m" in line for line in lines), lines
    wide = next(line for line in lines if "日本" in line)
    assert wide.index("6.1.0") == lines[0].index("KERNEL") - 2  # two characters take four columns


def test_the_list_as_json(cache):
    cache.publish(KEYS[0], age=100, last_use=50)
    cache.publish(KEYS[2], kernel=None, last_use=500)
    (cache.path(KEYS[2]) / "meta.json").write_text("{")
    for words in (("--format", "json"), ("--format=json",)):
        first, second = json.loads(cache.expect("list", *words))
        assert (first["key"], first["name"], first["source"]) == (KEYS[0], "vmlinuz-6.1", "/boot/vmlinuz-6.1")
        assert (first["kernel"], first["qemu"], first["memory"]) == ("6.1.0", "7.2.0", MEMORY_SIZE)
        assert (first["path"], first["damaged"]) == (str(cache.path(KEYS[0])), False)
        assert abs(time.time() - 100 - first["created"]) < 30 and abs(time.time() - 50 - first["last_used"]) < 30
        assert 0 < first["size_on_disk"] < MEMORY_SIZE + 8 * PAGE
        assert (second["key"], second["damaged"], second["source"], second["created"]) == (KEYS[2], True, None, None)
    assert "(damaged)" in cache.expect("list", "--format", "terminal")


def test_all_is_cleared(cache):
    for key in KEYS:
        cache.publish(key)
    draft = cache.directory / "templates" / (".draft-" + "d" * 32)
    draft.mkdir()
    (draft / "used").touch()
    with open(cache.path(KEYS[0]) / "used", "r+") as used:
        fcntl.flock(used, fcntl.LOCK_SH)  # in use: its files stay open, so it goes as well
        assert cache.expect("clear").startswith("Removed 3 templates, ")
    assert os.listdir(cache.directory / "templates") == []


@pytest.mark.parametrize("name, left", [
    (KEYS[0], (1, 2)), ("2222", (0, 1)), ("1111a", (1, 2)), ("vmlinuz-6.1", (2,)), ("/boot/vmlinuz-6.1", (2,)),
    ("debian.qcow2", (0, 1)), ("1111b" + "b" * 27, (0, 2))])
def test_a_name_is_cleared(cache, name, left):
    cache.publish(KEYS[0])
    cache.publish(KEYS[1])
    cache.publish(KEYS[2], "/images/debian.qcow2")
    assert cache.expect("clear", name).startswith("Removed ")
    assert cache.keys() == [KEYS[i] for i in left]


@pytest.mark.parametrize("name, words", [
    ("1111", "2 templates have a key that begins with '1111'"), ("222", "at least 4 digits"),
    ("bzImage", "there is no template 'bzImage'"), (KEYS[0] + "0", "there is no template"), ("", "empty"),
    ("../templates", "there is no template")])
def test_what_is_not_one_name_clears_nothing(cache, name, words):
    for key in KEYS:
        cache.publish(key)
    assert words in cache.fail("clear", name, status=UNAVAILABLE if name else USAGE)
    assert cache.keys() == sorted(KEYS)


def test_the_path_is_shown(cache):
    assert cache.expect("path") == f"{cache.directory}\n"
    assert cache.expect("path", env={"VMTEST_CACHE_DIR": "", "XDG_CACHE_HOME": "/x"}) == "/x/vmtest\n"
    nowhere = {"VMTEST_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": ""}
    assert "HOME" in cache.fail("path", env=nowhere)
    assert cache.expect("list", env=nowhere) == "There are no templates in the cache.\n"


def flip(path, offset):
    """Changes a bit and leaves the times as they were."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_sound_templates_pass_verify(cache):
    cache.publish(KEYS[0], data=b"x" * 3 * PAGE)
    assert cache.expect("verify") == "1 template is sound.\n"
    cache.publish(KEYS[2])
    assert cache.expect("verify") == "2 templates are sound.\n"


@pytest.mark.parametrize("file, offset", [("memory", PAGE), ("memory", 0), ("memory", MEMORY_SIZE - 1), ("state", 3)])
def test_verify_names_and_removes_the_damaged(cache, file, offset):
    for key in KEYS:
        cache.publish(key)
    flip(cache.path(KEYS[1]) / file, offset)
    lines = cache.expect("verify", status=1).splitlines()
    assert lines == [f"1111bbbb, made from vmlinuz-6.1, was damaged and has been removed: {file} does not agree with "
                     "its digest", "2 templates are sound."]
    assert cache.keys() == [KEYS[0], KEYS[2]]
    assert cache.expect("verify") == "2 templates are sound.\n"


def test_verify_removes_what_has_no_record(cache):
    cache.publish(KEYS[0])
    (cache.path(KEYS[0]) / "meta.json").unlink()
    assert "(damaged), was damaged and has been removed" in cache.expect("verify", status=1)
    assert os.listdir(cache.directory / "templates") == []


@pytest.mark.parametrize("words, complaint", [
    ([], "missing"), (["lst"], "'lst'"), (["list", "x"], "'x'"), (["clear", "a", "b"], "'b'"), (["path", "x"], "'x'"),
    (["verify", "x"], "'x'"), (["list", "--format", "xml"], "'xml'"), (["list", "--format"], "'--format' needs an argument"),
    (["clear", "--format", "json"], "'--format'"), (["clear", "-f"], "'-f'"), (["path", "--x"], "'--x'")])
def test_a_wrong_command_line_does_nothing(cache, words, complaint):
    cache.publish(KEYS[0])
    assert complaint in cache.fail(*words, status=USAGE)
    assert cache.keys() == [KEYS[0]]


def test_a_name_may_look_like_an_option(cache):
    cache.publish(KEYS[0], "/images/--format")
    assert cache.expect("clear", "--", "--format").startswith("Removed 1 template, ")


def test_only_the_first_word_is_the_verb(cache):
    status, stdout, stderr = cache.run("--format", "json", "cache", "list")
    assert (status, stdout) == (USAGE, "") and "no kernel or image for the command 'cache'" in stderr
    for words in (["cache", "path"], ["list"], ["help"]):
        status, stdout, stderr = cache.run("-k", "/nonexistent/kernel", *words)
        assert status == UNAVAILABLE and "/nonexistent/kernel" in stdout + stderr


@pytest.mark.parametrize("verb", ["list", "clear", "verify"])
def test_a_store_of_others_is_an_error(cache, verb):
    cache.publish(KEYS[0])
    (cache.directory / "templates").chmod(0o777)
    assert f"{cache.directory}/templates can be written to by other users" in cache.fail(verb)
    assert cache.path(KEYS[0]).exists()


def test_a_bad_limit_is_named(cache):
    cache.publish(KEYS[0])
    assert "VMTEST_CACHE_SIZE='ten'" in cache.fail("list", env={"VMTEST_CACHE_SIZE": "ten"})
    assert "they may take 2.1 GB." in cache.expect("list", env={"VMTEST_CACHE_SIZE": "2G"})


def test_output_that_is_lost_is_an_error(cache):
    cache.publish(KEYS[0])
    for words in (["list"], ["list", "--format", "json"], ["path"], ["verify"]):
        with open("/dev/full", "w") as full:
            status, _, stderr = cache.run("cache", *words, stdout=full)
        assert status == UNAVAILABLE and "No space left on device" in stderr, words


def test_help_names_the_verbs(cache):
    for words in (["--help"], ["help"]):
        status, stdout, stderr = cache.run(*words)
        assert (status, stderr) == (0, "")
        for verb in ("list [OPTION]", "cache list", "cache clear [NAME]", "cache path", "cache verify", "merge DIR"):
            assert f"\n  {verb}" in stdout


@pytest.mark.parametrize("verb", ["list", "cache", "cache list", "cache clear", "cache path", "cache verify", "merge",
                                  "help"])
def test_every_verb_has_help_in_three_places(cache, verb):
    for words in ([*verb.split(), "--help"], [*verb.split(), "-h"], ["help", *verb.split()]):
        status, stdout, stderr = cache.run(*words)
        if words == ["help", "help"] or verb != "help":
            assert stdout.startswith(f"Usage: vmtest {verb}"), words
        assert (status, stderr) == (0, "") and "\n  -h, --help " in stdout, words


def test_help_for_what_is_no_verb_is_an_error(cache):
    for words in (["help", "lst"], ["help", "cache", "lst"], ["help", "list", "x"]):
        status, stdout, stderr = cache.run(*words)
        assert (status, stdout) == (USAGE, "") and "there is no verb '" + " ".join(words[1:]) + "'" in stderr
