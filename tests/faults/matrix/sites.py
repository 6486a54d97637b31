"""Where the code passes a failpoint, and where it changes something: read from its text, nothing is run.

A place is a module and a function, `penstock.transfer.landing:land`, as a sprung trap tells it.
"""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import penstock
from penstock.failpoints import BESIDE_POINTS, POINTS
from penstock.transfer import posix

ROOM = Path(penstock.__file__).parent
ROOMS = ("catalog", "engine", "stores", "transfer")
"""Whatever happens to a file on its way happens here."""

KERNEL = frozenset(
    {
        *(
            "rename",
            "replace",
            "link",
            "symlink",
            "unlink",
            "mkdir",
            "makedirs",
            "rmdir",
            "remove",
            "truncate",
            "ftruncate",
        ),
        *("write", "writev", "pwrite", "pwritev", "fsync", "fdatasync", "utime"),
        *(
            "chmod",
            "fchmod",
            "chown",
            "fchown",
            "setxattr",
            "removexattr",
            "posix_fallocate",
            "copy_file_range",
            "sendfile",
        ),
    }
)
"""Verbs of `os` that change something."""

OURS = frozenset(
    {"write_all", "unlink_if_there", "rename_without_replacing", "give", "reserve", "publish_new", "publish_over"}
)
"""Our own names for them, of whatever module."""

STORE = frozenset({"put", "begin_put", "put_part", "initiate", "complete", "abort", "delete"})
"""Verbs of a store that change something."""

PAST_THE_CACHE = "penstock.transfer.part_file:DirectPart._write"
_STORES = ("store", "stoppable")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Passing:
    """A function that passes a point. Where the point is no constant, `point` is empty."""

    place: str
    point: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Change:
    """A call that changes something; whether the same function passes a failpoint before it, and one behind it."""

    place: str
    call: str
    before: bool
    behind: bool


@cache
def passings() -> frozenset[Passing]:
    """All of Penstock's on the way of a file."""
    return frozenset(
        Passing(place=place, point=_point(call))
        for path in ROOM.rglob("*.py")
        if "failpoints.passing" in path.read_text()  # few do, and reading is quicker than parsing
        for place, function in _functions(path)
        for call in _calls(function)
        if _dotted(call.func) == "failpoints.passing" and _point(call) not in BESIDE_POINTS
    )


def unseen(seen: Iterable[tuple[str, str]], directory: Path) -> list[str]:
    """What stands in the code and is not among the passings that were `seen`, each a point and a place.

    Where the file system of `directory` offers no writing past the page cache, nobody can pass what does that.
    """
    known = set(seen)
    points = known | {("", place) for _, place in known}
    left = sorted(one for one in passings() if (one.point, one.place) not in points)
    return [
        f"{one.point or 'a failpoint'} in {one.place}"
        for one in left
        if one.place != PAST_THE_CACHE or _offers(directory)
    ]


@cache
def changes() -> tuple[Change, ...]:
    """All calls that change something, in the rooms that a file passes on its way."""
    return tuple(
        sorted(
            change
            for room in ROOMS
            for path in (ROOM / room).rglob("*.py")
            for place, function in _functions(path)
            for change in _changes(place, function)
        )
    )


def _offers(directory: Path) -> bool:
    with tempfile.TemporaryFile(dir=directory) as file:
        return posix.direct_alignment(file.fileno()) > 0


def _changes(place: str, function: ast.AST) -> Iterator[Change]:
    calls = list(_calls(function))
    passed = [call.lineno for call in calls if _dotted(call.func) == "failpoints.passing"]
    for call in calls:
        name = _dotted(call.func)
        if _is_changing(name):
            line, end = call.lineno, call.end_lineno or call.lineno
            yield Change(
                place=place,
                call=name,
                before=any(one < line for one in passed),
                behind=any(one > end for one in passed),
            )


def _is_changing(name: str) -> bool:
    owner, _, verb = name.rpartition(".")
    if owner == "os":
        return verb in KERNEL
    if verb == "commit":
        return True
    return verb in OURS or (verb in STORE and owner.rpartition(".")[2].removeprefix("_") in _STORES)


def _point(call: ast.Call) -> str:
    (said,) = call.args
    if not isinstance(said, ast.Constant):
        return ""
    point = str(said.value)
    assert point in (*POINTS, *BESIDE_POINTS), f"{point} is no failpoint"
    return point


def _functions(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Every function of a module with its place, and the module's own statements."""
    tree = ast.parse(path.read_text(), str(path))
    parts = path.relative_to(ROOM.parent).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    yield f"{module}:<module>", tree
    yield from _within(tree, f"{module}:")


def _within(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
            yield from _within(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from _within(child, f"{prefix}{child.name}.")
        else:
            yield from _within(child, prefix)


def _calls(function: ast.AST) -> Iterator[ast.Call]:
    """Those of the function itself, lambdas included, but not of functions and classes within it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _dotted(node: ast.expr) -> str:
    """`a.b.c`; what is called or indexed on the way there counts for nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        front = _dotted(node.value)
        return f"{front}.{node.attr}" if front else node.attr
    return ""
