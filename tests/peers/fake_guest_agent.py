# SPDX-License-Identifier: Apache-2.0
"""A scripted QEMU guest agent (QEMU's docs/interop/qemu-ga-ref), as an image's system would run it.

What it does otherwise than a good one stands in the plan:

    piece      how many bytes of a reply are written at once
    sync       "after garbage", "third time", "old id", "never"
    info       "disabled NAME", "unknown NAME": that command
    osinfo     the reply to guest-get-osinfo
    places     {PLACE: OUTCOME} of starting vmtest's agent there; without an entry it starts
    hello      "late": the agent says hello once guest-exec-status has been answered; "never"
    mount, write_back, command
               OUTCOME of the mounts, of `sync` and of the user's command where the guest agent has to run them
    asks       how often guest-exec-status says that the command has not ended
    status     what becomes of asking for the end of the command: "error", "silent", "garbage"
    shutdown   "error": guest-shutdown is refused

An OUTCOME is an exit code, the fields of guest-exec-status, {"error": TEXT} for a program that guest-exec refuses, or
null for one that never ends.
"""
import base64
import hashlib
import json
import threading
import time

from fake_notes import fault, hang, note

VERSION = "7.2.19"
COMMANDS = ("guest-sync-delimited", "guest-ping", "guest-info", "guest-get-osinfo", "guest-exec", "guest-exec-status",
            "guest-shutdown", "guest-file-open")
OSINFO = {"id": "debian", "name": "Fake GNU/Linux", "pretty-name": "Fake GNU/Linux 12", "machine": "x86_64",
          "kernel-release": "6.1.0-guest", "kernel-version": "#1 SMP", "version-id": "12"}
GARBAGE = (b'{"return": {"pid": 77}}\n{"error": {"class": "GenericError", "desc": "stale"}}\n\xff\xfe\0 nonsense\n'
           b'{"return": {}}\n{"return": 4095}\n[1, 2\n{"ret')


class GuestError(Exception):
    """An error reply: class and description."""


class GuestAgent:
    def __init__(self, sock, plan):
        self.sock, self.plan = sock, plan
        self.begin()
        self.syncs = []
        self.executed = []
        self.attached = threading.Event()
        self.on_shutdown = self.on_tasks = None

    def begin(self):
        """As after a reboot: nobody has been talked to."""
        self.unread = b""
        self.synced = self.owes = False
        self.programs = {}

    # The channel.

    def send(self, data):
        piece = self.plan.get("piece", len(data))
        try:
            while data:
                self.sock.sendall(data[:piece])
                data = data[piece:]
                if data:
                    time.sleep(0.0005)
        except OSError:
            hang()

    def reply(self, value, lead=b""):
        self.owes = False
        self.send(lead + json.dumps(value).encode() + b"\n")

    def receive(self):
        """The next request, as (command, arguments)."""
        while b"\n" not in self.unread:
            try:
                data = self.sock.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                hang()
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        cut, sentinel, line = line.rpartition(b"\xff")
        return self.parse(line, bool(sentinel))

    def parse(self, line, led):
        try:
            request = json.loads(line)
            command, arguments = request.pop("execute"), request.pop("arguments", {})
        except (ValueError, KeyError):
            fault(f"guest agent: {line[:200]!r}")
        if request:
            fault(f"guest agent: old ones know no {list(request)}")
        if command == "guest-sync-delimited":
            if not led:
                fault("guest agent: a sync without 0xFF before it")
        else:
            if not self.synced:
                fault(f"guest agent: {command} before a sync was answered")
            if self.owes:
                fault(f"guest agent: {command} while another request is under way")
            self.owes = True
        return command, arguments

    def serve(self):
        """Answers from now on."""
        def run():
            while True:
                self.answer(*self.receive())

        threading.Thread(target=run, daemon=True).start()

    def answer(self, command, arguments):
        answers = {"guest-sync-delimited": self.sync, "guest-info": self.info, "guest-get-osinfo": self.osinfo,
                   "guest-exec": self.execute, "guest-exec-status": self.status, "guest-shutdown": self.shutdown}
        if command not in answers:
            fault(f"guest agent: nobody needs {command}")
        try:
            value = answers[command](arguments)
            if value is not None:
                self.reply({"return": value})
        except GuestError as error:
            self.reply({"error": {"class": error.args[0], "desc": error.args[1]}})

    # The commands. None: there is no answer, or it has been given.

    def sync(self, arguments):
        number, plan = arguments["id"], self.plan.get("sync")
        if not 0 < number < 1 << 31:
            fault(f"guest agent: a sync with the id {number}")
        self.syncs.append(number)
        self.owes = False
        note("synced", " ".join(map(str, self.syncs)))
        if plan == "never" or (plan == "third time" and len(self.syncs) < 3):
            return
        if plan == "after garbage":
            self.send(GARBAGE)
        if plan == "third time" and len(self.syncs) == 3:
            for old in self.syncs[:2]:
                self.reply({"return": old}, b"\xff")
                time.sleep(0.1)
            self.reply({"return": number})  # not led by 0xFF: not the one
            self.reply({"return": {"pid": 77}})
            time.sleep(0.1)
        if plan == "old id":
            number = self.syncs[-2] if len(self.syncs) > 1 else 1
        self.synced = plan != "old id"
        self.reply({"return": number}, b"\xff")

    def info(self, _):
        what, _, which = self.plan.get("info", "").partition(" ")
        commands = [{"name": name, "enabled": (what, which) != ("disabled", name), "success-response": True}
                    for name in COMMANDS if (what, which) != ("unknown", name)]
        return {"version": VERSION, "supported_commands": commands}

    def osinfo(self, _):
        return self.plan.get("osinfo", OSINFO)

    def outcome(self, path, arguments, data):
        """What becomes of a program, and whether it is the user's command."""
        script = arguments[1] if path == "/bin/sh" and arguments[:1] == ["-c"] else ""
        if "--attach" in script:
            note("agent", hashlib.sha256(data).hexdigest())
            place = arguments[3]
            return self.plan.get("places", {}).get(place, self.plan.get("start", 0)), place
        if data:
            fault("guest agent: an unexpected input-data")
        if "mount -t " in script:
            return self.plan.get("mount", 0), None
        if "sysrq-trigger" in script:
            note("tasks")
            return 0 if self.on_tasks and not self.on_tasks() else 1, None
        if script == "sync":
            return self.plan.get("write_back", 0), None
        return self.plan.get("command", 0), "command"

    def execute(self, arguments):
        path, words = arguments.pop("path"), arguments.pop("arg", [])
        if arguments.pop("capture-output") is not True:
            fault("guest agent: the output is not captured")
        data = base64.b64decode(arguments.pop("input-data", ""), validate=True)
        if arguments:
            fault(f"guest agent: guest-exec with {list(arguments)}")
        outcome, what = self.outcome(path, words, data)
        self.executed.append([path, *words])
        note("executed", json.dumps(self.executed))
        if isinstance(outcome, dict) and "error" in outcome:
            raise GuestError("GenericError", outcome["error"])
        outcome = {"exitcode": outcome} if isinstance(outcome, int) else outcome
        attaches = what and what != "command" and outcome == {"exitcode": 0} and self.plan.get("hello") != "never"
        if attaches and self.plan.get("hello") != "late":
            self.attached.set()
        pid = 1000 + len(self.executed)
        self.programs[pid] = {"asked": 0, "outcome": outcome, "what": what, "attaches": attaches}
        return {"pid": pid}

    def status(self, arguments):
        pid = arguments["pid"]
        if pid not in self.programs:
            raise GuestError("GenericError", "Invalid parameter 'pid'")
        program, plan = self.programs[pid], self.plan.get("status")
        program["asked"] += 1
        if program["what"] == "command" and program["asked"] == 2:
            note("asked")
        if plan and program["what"] == "command" and program["asked"] == 2:
            if plan == "error":
                raise GuestError("GenericError", "Invalid parameter 'pid'")
            if plan == "silent":
                return None
            self.send(b"qemu-ga: it has gone wrong\n")
            return None
        asks = self.plan.get("asks", 1) if program["what"] == "command" else 1
        if program["outcome"] is None or program["asked"] <= asks:
            return {"exited": False}
        del self.programs[pid]
        self.reply({"return": {"exited": True, **program["outcome"]}})
        if program["attaches"]:
            time.sleep(0.3 if self.plan.get("hello") == "late" else 0)
            self.attached.set()
        return None

    def shutdown(self, arguments):
        if arguments != {"mode": "powerdown"}:
            fault(f"guest agent: guest-shutdown with {arguments}")
        note("asked_to_shut_down")
        if self.plan.get("shutdown") == "error":
            raise GuestError("GenericError", "child process has failed to shutdown")
        if self.on_shutdown:
            self.on_shutdown()
