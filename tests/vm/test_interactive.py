# SPDX-License-Identifier: Apache-2.0
"""An interactive shell, and Ctrl-C, on a real terminal."""
import hashlib
import re

import pexpect
import pytest

from conftest import wait_for_no_processes


class TestShell:
    def test_a_shell_on_a_terminal_is_one_and_gives_its_exit_code(self, terminal, project, kernel):
        shell = terminal(["-k", kernel, "-"], rows=31, columns=97, cwd=project,
                         env={"HOME": project, "TERM": "dumb", "PS1": "> "})
        shell.expect.expect(r"===> Running command", timeout=90)
        shell.expect.expect(r"[#$>] \S*$", timeout=30)
        assert shell.is_raw()
        shell.expect.send("echo $((40 + 2)); tty; stty size; pwd\r")
        shell.expect.expect(r"[\r\n]42\r\n/dev/pts/\d+\r\n31 97\r\n" + project + r"\r\n")
        # The window changes its size.
        shell.resize(40, 120)
        shell.expect.expect(r"[#$>] \S*$")
        shell.expect.send("sleep 0.5; stty size\r")
        shell.expect.expect(r"[\r\n]40 120\r\n")
        # Ctrl-C goes to the guest and ends what runs there, not the shell.
        shell.expect.expect(r"[#$>] \S*$")
        shell.expect.send("sleep 1000\r")
        shell.expect.expect(r"sleep 1000\r\n")
        # Nothing tells that it sleeps by now; if it does not yet, Ctrl-C merely discards a line.
        shell.expect.expect([pexpect.TIMEOUT, r"never"], timeout=1)
        shell.expect.send("\x03")
        shell.expect.expect(r"[#$>] \S*$", timeout=20)
        shell.expect.send("echo still $((1 + 1)); exit 3\r")
        shell.expect.expect(r"[\r\n]still 2\r\n")
        assert shell.wait() == 3
        assert shell.is_restored()

    def test_the_terminal_is_restored_when_the_machine_is_lost(self, terminal, project, kernel):
        shell = terminal(["-k", kernel, "-"], cwd=project, env={"HOME": project, "TERM": "dumb"})
        shell.expect.expect(r"===> Running command", timeout=90)
        shell.expect.expect(r"[#$>] \S*$", timeout=30)
        assert shell.is_raw()
        shell.expect.send("echo o > /proc/sysrq-trigger\r")
        assert shell.wait() == 69
        assert shell.is_restored()

    def test_standard_input_that_is_no_terminal_is_the_shells_script(self, run, project, kernel):
        result = run(["-k", kernel, "-"], cwd=project, input=b"echo from $((1 + 1)); tty\nread line\nmore input\n"
                     b"echo \"$line\"\nexit 5\n")
        assert (result.out, result.status) == ("from 2\nnot a tty\nmore input\n", 5), str(result)

    def test_the_end_of_standard_input_ends_the_shell(self, run, project, kernel):
        result = run(["-k", kernel, "-"], cwd=project, input=b"printf 'no line feed'; cat | wc -c")
        assert (result.out, result.status) == ("no line feed0\n", 0), str(result)


@pytest.mark.slow
def test_input_that_is_not_read_for_long_does_not_make_the_guest_seem_lost(run, project, kernel):
    """The shell has more to read than the guest keeps; nothing of it gets lost."""
    data = b"0123456789abcde\n" * (1 << 20)
    result = run(["-k", kernel, "--accel", "tcg", "--lost-after", "5s", "-"], cwd=project,
                 input=b"sleep 25; echo awake; md5sum; exit 3\n" + data, timeout=200)
    assert (result.out, result.status) == (f"awake\n{hashlib.md5(data).hexdigest()}  -\n", 3), str(result)


class TestControlC:
    def test_ctrl_c_ends_a_command_with_130_and_leaves_nothing(self, terminal, project, kernel):
        run = terminal(["-k", kernel, "echo begun; sleep 1000"], cwd=project)
        run.expect.expect(r"===> Running command", timeout=90)
        run.expect.expect(r"begun", timeout=30)
        assert not run.is_raw()
        run.expect.send("\x03")
        assert run.wait(20) == 130
        assert run.is_restored()
        assert wait_for_no_processes() == []

    def test_ctrl_c_ends_a_boot(self, terminal, project, kernel):
        run = terminal(["-k", kernel, "true"], cwd=project)
        run.expect.expect(r"===> Booting", timeout=30)
        run.expect.send("\x03")
        assert run.wait(20) == 130
        assert wait_for_no_processes() == []


@pytest.mark.parametrize("ending, word", [("true", "PASS"), ("exit 9", "FAILED")])
def test_on_a_terminal_a_pass_collapses_and_a_failure_is_shown_whole(terminal, project, kernel, ending, word):
    with open(f"{project}/vmtest.toml", "w") as file:
        file.write(f'[[target]]\nname = "on a terminal"\nkernel = "{kernel}"\n'
                   f'command = "echo {"wide " * 30}; for i in $(seq 30); do echo line $i of 30; done; {ending}"\n')
    run = terminal([], cwd=project, rows=50, columns=100, env={"TERM": "xterm"})
    text = b""
    while not text.rstrip().endswith((b"PASS\x1b[0m", b"FAILED\x1b[0m", b"PASS", b"FAILED")):
        text += run.expect.read_nonblocking(65536, timeout=90)
    assert run.wait() == (0 if ending == "true" else 9)
    dimmed = re.findall(r"\x1b\[2m(.*?)\x1b\[0m", text.decode())
    assert max(map(len, dimmed)) <= 100 and "line 30 of 30" in dimmed
    screen = render(text.decode(), 50)
    if ending == "true":
        assert screen == ["=> on a terminal", "PASS"], screen
    else:
        assert screen[0] == "=> on a terminal" and screen[-1] == "FAILED", screen
        assert screen[-3] == "Command failed with exit code: 9", screen
        assert screen[-2].startswith("Run it again: ") and screen[-2].endswith(" -f '^on a terminal$'"), screen
        assert [line for line in screen if line.startswith("line ")] == [f"line {i} of 30" for i in range(1, 31)]
        assert "\x1b[31mCommand failed" in text.decode(), "not red"
    assert word in screen


def render(text, rows):
    """What a terminal shows: line feeds, carriage returns, and the control sequences that move and erase."""
    lines, row, column, at = [""], 0, 0, 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\x1b" and text[at:at + 1] == "[":
            end = at + 1
            while not text[end].isalpha():
                end += 1
            number, code = text[at + 1:end], text[end]
            at = end + 1
            count = int(number) if number.isdigit() else 1
            if code == "A":
                row = max(0, row - count)
            elif code == "F":
                row, column = max(0, row - count), 0
            elif code == "G":
                column = count - 1
            elif code == "K":
                lines[row] = "" if number == "2" else lines[row][:column]
            elif code == "J":
                lines[row] = lines[row][:column]
                del lines[row + 1:]
            elif code not in "mhl":
                raise AssertionError(f"unknown control sequence {number}{code}")
        elif char == "\n":
            row += 1
            while len(lines) <= row:
                lines.append("")
        elif char == "\r":
            column = 0
        elif char >= " ":
            lines[row] = lines[row][:column].ljust(column) + char + lines[row][column + 1:]
            column += 1
    assert len(lines) <= rows, "the screen would have scrolled"
    return [line.rstrip() for line in lines if line.strip() and not line.startswith("note: ")]
