# SPDX-License-Identifier: Apache-2.0
"""The pages name files, functions and rooms that exist, and the rooms include what docs/architecture.md allows."""
import glob
import os
import re

import pytest

from conftest import TOP

PAGES = ["README.md", *sorted(path for pattern in ("docs/*.md", "tests/*/README.md")
                              for path in glob.glob(pattern, root_dir=TOP))]
PATH = re.compile(r"(?<![\w./-])(?:src|agent|tests|scripts|bench|examples|docs|man)/[\w./-]*\w")
LINK = re.compile(r"\[[^\]]*\]\(([^)#:]*)(?:#([^)]*))?\)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
SOURCE_NAME = re.compile(r"(?<![\w./-])(?:[a-z0-9-]+/)*[a-z0-9-]+\.[ch]\b")
# Their comments name files of the Linux kernel.
KERNEL_SOURCES = ("src/console/findings-table.c", "src/qemu/confine.c")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def read(path):
    with open(f"{TOP}/{path}", encoding="utf-8") as file:
        return file.read()


def sources():
    return [path for room in ("src", "agent") for path in glob.glob(f"{room}/**/*.[ch]*", root_dir=TOP, recursive=True)
            if path.endswith((".c", ".h", ".cc"))]


def section(text, title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL).group(1)


def room_of(path):
    """The room of a source file as the page names it: a directory below src, or agent."""
    parts = path.split("/")
    return parts[0] if parts[0] == "agent" else "/".join(parts[:2])


def rooms():
    """The table of rooms: the name of each, and the names of those that it may include, in the page's order."""
    allowed = {}
    for room, _, uses in re.findall(r"^\| (src/\w+|agent) \| (.*?) \| (.*?) ?\|$",
                                    section(read("docs/architecture.md"), "Rooms"), re.MULTILINE):
        above = list(allowed)
        allowed[room] = above if uses == "all above" else [f"src/{name}" for name in uses.split(", ") if name]
        assert set(allowed[room]) <= set(above), f"{room} uses a room that is not above it"
    return allowed


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_paths_that_exist(page):
    text = read(page)
    missing = {path for path in PATH.findall(text) if "NAME" not in path and not os.path.exists(f"{TOP}/{path}")}
    assert not missing, f"{page} names files that are not in the tree"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_pages_and_headings_that_exist(page):
    for target, anchor in LINK.findall(read(page)):
        path = os.path.normpath(os.path.join(os.path.dirname(page), target)) if target else page
        assert os.path.exists(f"{TOP}/{path}"), f"{page}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", read(path), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page}: {target}#{anchor}"


def test_the_architecture_names_functions_and_types_that_exist():
    page = read("docs/architecture.md")
    code = "".join(read(path) for path in sources())
    functions = {name for name in re.findall(r"`(\w+)\(\)`", page)
                 if not re.search(rf"\b{name}\([^;]*\) {{$", code, re.MULTILINE)}
    types = {name for name in re.findall(r"`((?:enum|struct) \w+)`", page) if f"{name} {{" not in code}
    assert not functions | types, "docs/architecture.md names what is not in the code"


@pytest.mark.parametrize("path", [path for path in sources() if path not in KERNEL_SOURCES])
def test_a_comment_names_files_that_exist(path):
    around = [TOP, f"{TOP}/src", f"{TOP}/{os.path.dirname(path)}"]
    missing = {name for comment in COMMENT.findall(read(path)) for name in SOURCE_NAME.findall(comment)
               if not any(os.path.exists(f"{directory}/{name}") for directory in around)}
    assert not missing, f"{path} names files that are not in the tree"


def test_the_architecture_lists_every_room():
    assert set(rooms()) == {room_of(path) for path in sources()}


def test_rooms_include_only_what_the_architecture_allows():
    allowed = rooms()
    used = {room: set() for room in allowed}
    for path in sources():
        for name in INCLUDE.findall(read(path)):
            room = room_of(f"src/{name}")
            if room not in allowed or room == room_of(path):
                continue
            assert not name.endswith("internal.h"), f"{path} includes {name}"
            assert room in allowed[room_of(path)], f"{path} includes {name}; docs/architecture.md does not allow {room}"
            used[room_of(path)].add(room)
    # The command line may include every room.
    unused = {room: sorted(set(allowed[room]) - used[room]) for room in allowed if room != "src/cli"}
    assert not any(unused.values()), "docs/architecture.md allows more than is used"


def test_the_agents_files_include_each_other_in_no_circle():
    uses = {}
    for path in sources():
        if room_of(path) == "agent":
            name = os.path.splitext(os.path.basename(path))[0]
            uses.setdefault(name, set()).update(re.findall(r'^#include "agent/([\w-]+)\.h"', read(path), re.MULTILINE))
    uses = {name: used - {name} for name, used in uses.items()}
    while uses:
        done = {name for name, used in uses.items() if not used & set(uses)}
        assert done, f"a circle of {sorted(uses)}"
        uses = {name: used for name, used in uses.items() if name not in done}
