"""The cases of the kill matrix: which file is on its way, who dies where, and whether somebody else dies with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from penstock.failpoints import CONTROL_POINTS, POINTS, Point
from penstock.model import ConflictPolicy

BY_THE_CLOCK: frozenset[Point] = frozenset({"claim", "nonces.commit", "nonces.committed"})
"""Points that are passed again and again while nothing happens, or whenever somebody asks: the first time is as good as any."""


class Size(StrEnum):
    """How a file moves."""

    SMALL = "small"
    MIDDLING = "middling"  # by one request as well, but never whole in memory
    LARGE = "large"


class Fate(StrEnum):
    """What happens to a file on its way."""

    MOVED = ""
    CACHED = "cached"  # through the page cache: a little too small to be written past it
    BESIDE = "beside another"  # which is under way: an engine with nothing to do claims what comes at once
    CANCELED = "canceled"  # in the middle
    FAILED = "failed"  # in the middle: a directory takes the target's name, or the source is removed
    TURNED = "turned"  # in the middle: a link on the way to its target leads to another directory from then on
    DAMAGED = "damaged"  # by the network, the first time that it is sent
    WITHDRAWN = "damaged and canceled"  # when it is in the bucket, and before anybody knows in which state
    RECALLED = "published, canceled"  # where its mover stands still behind publishing it
    ORPHANED = "published, its source gone"  # likewise, or while nobody lives
    BARRED = "published, its bucket closed"  # likewise: the store refuses, until the next attempt has met that
    CONSUMED = "published, taken away"  # likewise: whoever waited for it takes it, and it is not at its target any more
    REPLACED = "published, overwritten"  # likewise: somebody writes to its target
    UNSYNCED = "published, its name not durable"  # likewise: what somebody syncs is looked at from there on
    OVERTAKEN = "overtaken"  # somebody else's object, which stays, comes between the look at the key and the sending
    EQUAL = "over its equal"  # a file with its bytes and its time is at the target beforehand
    REFUSED = "refused over its equal"  # likewise, and its Condition asks for another size


AFTER_PUBLISHING: frozenset[Fate] = frozenset(
    {Fate.RECALLED, Fate.ORPHANED, Fate.BARRED, Fate.CONSUMED, Fate.REPLACED, Fate.UNSYNCED}
)
"""What comes between publishing and a death, and meets the next attempt, which knows nothing of that."""

OVER_ITS_EQUAL: frozenset[Fate] = frozenset({Fate.EQUAL, Fate.REFUSED})
"""What finds at its target what it is itself."""


class Way(StrEnum):
    """Which file is on its way, and what is to become of it."""

    IMPORT_SMALL = "import small"
    IMPORT_MIDDLING = "import middling"
    IMPORT_LARGE = "import large"
    EXPORT_SMALL = "export small"
    EXPORT_MIDDLING = "export middling"
    EXPORT_LARGE = "export large"
    IMPORT_CACHED = "import middling cached"
    IMPORT_BESIDE = "import small beside another"
    IMPORT_SMALL_CANCELED = "import small canceled"
    IMPORT_MIDDLING_CANCELED = "import middling canceled"
    IMPORT_CANCELED = "import large canceled"
    EXPORT_SMALL_CANCELED = "export small canceled"
    EXPORT_MIDDLING_CANCELED = "export middling canceled"
    EXPORT_CANCELED = "export large canceled"
    IMPORT_SMALL_FAILED = "import small failed"
    IMPORT_MIDDLING_FAILED = "import middling failed"
    IMPORT_FAILED = "import large failed"
    EXPORT_FAILED = "export large failed"
    IMPORT_TURNED = "import large turned"
    EXPORT_DAMAGED = "export small damaged"
    EXPORT_WITHDRAWN = "export small damaged and canceled"
    EXPORT_OVERTAKEN = "export middling overtaken"
    IMPORT_SMALL_RECALLED = "import small published, canceled"
    IMPORT_RECALLED = "import large published, canceled"
    EXPORT_SMALL_RECALLED = "export small published, canceled"
    EXPORT_RECALLED = "export large published, canceled"
    IMPORT_SMALL_ORPHANED = "import small published, its source gone"
    IMPORT_ORPHANED = "import large published, its source gone"
    EXPORT_SMALL_ORPHANED = "export small published, its source gone"
    EXPORT_ORPHANED = "export large published, its source gone"
    IMPORT_SMALL_BARRED = "import small published, its bucket closed"
    IMPORT_BARRED = "import large published, its bucket closed"
    EXPORT_SMALL_BARRED = "export small published, its bucket closed"
    EXPORT_BARRED = "export large published, its bucket closed"
    IMPORT_SMALL_CONSUMED = "import small published, taken away"
    IMPORT_CONSUMED = "import large published, taken away"
    EXPORT_SMALL_CONSUMED = "export small published, taken away"
    EXPORT_CONSUMED = "export large published, taken away"
    IMPORT_REPLACED = "import large published, overwritten"
    EXPORT_REPLACED = "export large published, overwritten"
    IMPORT_SMALL_UNSYNCED = "import small published, its name not durable"
    IMPORT_MIDDLING_UNSYNCED = "import middling published, its name not durable"
    IMPORT_UNSYNCED = "import large published, its name not durable"
    IMPORT_SMALL_EQUAL = "import small over its equal"
    IMPORT_EQUAL = "import large over its equal"
    EXPORT_SMALL_EQUAL = "export small over its equal"
    EXPORT_EQUAL = "export large over its equal"
    IMPORT_SMALL_REFUSED = "import small refused over its equal"
    IMPORT_REFUSED = "import large refused over its equal"

    @property
    def is_import(self) -> bool:
        return self.value.startswith("import ")

    @property
    def size(self) -> Size:
        return Size(self.value.split(" ", 2)[1])

    @property
    def fate(self) -> Fate:
        return Fate(self.value.partition(f" {self.size}")[2].strip())

    @property
    def publishing(self) -> Point:
        """What is passed right after the file is where it should be. (Of small exports other answers pass it, too.)"""
        if self.is_import:
            return "renamed"
        return "request.answered" if self.is_whole else "upload.completed"

    @property
    def is_whole(self) -> bool:
        """Whether it is moved by one request."""
        return self.size is not Size.LARGE


class Bucket(StrEnum):
    """The buckets of a world, by their names."""

    VERSIONED = "matrix"
    PLAIN = "matrix-plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What else makes a difference to a file's way."""

    policy: ConflictPolicy
    bucket: Bucket

    def __str__(self) -> str:
        return f"{self.policy}, {'versioned' if self.bucket is Bucket.VERSIONED else 'plain'}"


OVERWRITE = Terms(policy=ConflictPolicy.OVERWRITE_EXISTING, bucket=Bucket.VERSIONED)
SKIP = Terms(policy=ConflictPolicy.SKIP_THE_FILE, bucket=Bucket.PLAIN)
LATEST = Terms(policy=ConflictPolicy.KEEP_LATEST, bucket=Bucket.VERSIONED)
OVERWRITE_PLAIN = Terms(policy=ConflictPolicy.OVERWRITE_EXISTING, bucket=Bucket.PLAIN)
SKIP_VERSIONED = Terms(policy=ConflictPolicy.SKIP_THE_FILE, bucket=Bucket.VERSIONED)
LATEST_PLAIN = Terms(policy=ConflictPolicy.KEEP_LATEST, bucket=Bucket.PLAIN)
LETTERS: Mapping[str, Terms] = {
    "a": OVERWRITE,
    "b": SKIP,
    "c": LATEST,
    "d": OVERWRITE_PLAIN,
    "e": SKIP_VERSIONED,
    "f": LATEST_PLAIN,
}
"""As the tables call them. Of a file that is just moved, an older one stands at the target under KEEP_LATEST, else none."""


def terms_of(way: Way) -> tuple[Terms, ...]:
    """Those that deaths on this way are shared among."""
    match way.fate:
        case Fate.MOVED if way.is_import:
            return (OVERWRITE, SKIP, LATEST, OVERWRITE_PLAIN)
        case Fate.MOVED:
            return (OVERWRITE, SKIP, LATEST, OVERWRITE_PLAIN, SKIP_VERSIONED, LATEST_PLAIN)
        case Fate.BESIDE:
            return (OVERWRITE,)
        case Fate.DAMAGED:
            return (OVERWRITE, OVERWRITE_PLAIN)
        case Fate.WITHDRAWN:
            return (OVERWRITE,)  # on a plain bucket a damaged object is left to whoever canceled, and named
        case Fate.OVERTAKEN:
            return (SKIP_VERSIONED, LATEST)  # only versions tell who came between
        case Fate.REPLACED if not way.is_import:
            return (OVERWRITE_PLAIN, SKIP, LATEST_PLAIN, OVERWRITE)
        case Fate.EQUAL | Fate.REFUSED | Fate.REPLACED | Fate.UNSYNCED:
            return (OVERWRITE, SKIP, LATEST)
        case _:
            return (OVERWRITE, SKIP)


class Death(StrEnum):
    """Who dies."""

    CONTROL = "service"  # the control process, at a point of its own; movers notice
    MOVER = "mover"  # alone; the control process goes on
    BOTH = "both"  # a mover at its point, and the control process with it


class Which(StrEnum):
    """Which of its passings."""

    ONCE = "once"
    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"

    @classmethod
    def among(cls, count: int) -> tuple[Which, ...]:
        """Those that are worth dying at, of so many."""
        if count <= 1:
            return (cls.ONCE,) * count
        return (cls.FIRST, cls.MIDDLE, cls.LAST) if count > 2 else (cls.FIRST, cls.LAST)

    def of(self, count: int) -> int:
        """Its number, of so many; one that is passed less often is passed for the last time."""
        wanted = {Which.ONCE: 1, Which.FIRST: 1, Which.MIDDLE: (count + 1) // 2, Which.LAST: count}
        return wanted[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A death at the `passing`-th passing of `point`."""

    way: Way
    terms: Terms = OVERWRITE
    point: Point
    passing: int = 1
    death: Death
    which: Which = Which.ONCE

    def __str__(self) -> str:
        return f"{self.way}-{self._letter}-{self.point}-{self.passing}-{self.death}".replace(" ", "-")

    def told(self) -> str:
        """For people."""
        return f"{self.way} ({self._letter}), {self.point} for the {self.passing}. time, {self.death}"

    @property
    def _letter(self) -> str:
        return next(letter for letter, terms in LETTERS.items() if terms == self.terms)


def case(way: Way, point: Point, passing: int = 1, *, alone: bool = False, terms: Terms = OVERWRITE) -> Case:
    """By whose point it is, and whether a mover dies alone."""
    return Case(way=way, terms=terms, point=point, passing=passing, death=_deaths(point)[0 if alone else -1])


def _deaths(point: Point) -> tuple[Death, ...]:
    return (Death.CONTROL,) if point in CONTROL_POINTS else (Death.MOVER, Death.BOTH)


TO_THE_MOVER: frozenset[Point] = frozenset({"ledger.commit", "ledger.committed", "claim", "claimed", "leased"})
"""From being created to a mover's hands: what is else beside another file that is under way; the rest is as it is without."""

WRITES: frozenset[Point] = frozenset({"partial.write", "partial.written"})
"""What else a file does that goes through the page cache."""

AS_SMALL: frozenset[Point] = TO_THE_MOVER | {
    *("nonces.commit", "nonces.committed"),
    *("directory.make", "directory.made", "directory.sync", "directory.synced"),
}
"""What is for middling files as it is for small ones."""

ENDINGS: frozenset[Point] = frozenset(
    {
        *("settle", "settled", "cancel.tell", "cancel.told", "outcome.tell", "outcome.told"),
        *("partial.remove", "partial.removed", "journal.remove", "journal.removed"),
        *("directory.sync", "directory.synced"),
        *("promised", "upload.abort", "upload.aborted", "version.delete", "version.deleted"),
    }
)
"""What happens when a file does not end as it should; until then it goes the way of others."""

UNTOLD: frozenset[Point] = frozenset({"directory.synced", "outcome.tell", "outcome.told", "settle"})
"""From publishing until the catalog knows of it."""

UNSYNCED: frozenset[Point] = frozenset({"renamed", "directory.sync"})
"""From the new name until it is made durable."""

REQUESTS: frozenset[Point] = frozenset({"request.send", "request.sent", "request.answered"})

AROUND_PUBLISHING: frozenset[Point] = frozenset(
    {
        *("promised", "rename", "renamed"),
        *("request.answered", "upload.complete", "upload.completed"),
        *("outcome.tell", "settle"),
    }
)
"""Where the conflict policy and the versions of a bucket make the difference: all terms are tried there."""


def is_worth_it(way: Way, point: Point) -> bool:
    """Whether a death there shows on this way what it does not on another."""
    if way.fate is Fate.BESIDE:
        return point in TO_THE_MOVER
    if way.fate is Fate.CACHED:
        return point in WRITES
    if way.fate is Fate.UNSYNCED:
        return point in UNSYNCED
    if way.fate in AFTER_PUBLISHING:
        return point == way.publishing or point in UNTOLD
    if way.fate is Fate.REFUSED:
        return point in TO_THE_MOVER | REQUESTS | UNTOLD | {"settled"}
    if way.fate is Fate.EQUAL:
        return point in AROUND_PUBLISHING | UNTOLD | {"claimed"}
    if way.fate is Fate.MOVED:
        return way.size is not Size.MIDDLING or point not in AS_SMALL
    return point in ENDINGS or (point in REQUESTS and way.is_whole and not way.is_import)


def cases_of(way: Way, passings: Mapping[Terms, Mapping[Point, int]]) -> Iterator[Case]:
    """Every death that is worth dying on this way; `passings` tells how often each point is passed, by terms.

    The deaths are dealt out to the terms in turn, so that neither comes with one of the others only; around publishing all
    terms get one. No death is died twice.
    """
    dealt: dict[Case, Case] = {}
    for number, point in enumerate(points for points in _passed(passings) if is_worth_it(way, points)):
        where = [terms for terms in passings if passings[terms].get(point)]
        all_which = Which.among(max(passings[terms][point] for terms in where))
        if way.fate not in {Fate.MOVED, Fate.CACHED, Fate.BESIDE}:
            all_which = tuple(which for which in all_which if which is not Which.MIDDLE)
        if way.fate in AFTER_PUBLISHING:
            all_which = all_which[:1]  # later ones are of what is done when the catalog knows
        cells = [(which, death) for which in all_which for death in _deaths(point)]
        chosen = [(where[(number + turn) % len(where)], *cell) for turn, cell in enumerate(cells)]
        if _is_tried_under_all(way, point):
            chosen += [(terms, all_which[-1], _deaths(point)[-1]) for terms in where]
        for terms, which, death in chosen:
            passing = which.of(passings[terms][point])
            one = Case(way=way, terms=terms, point=point, passing=passing, death=death, which=which)
            dealt.setdefault(replace(one, which=Which.ONCE), one)  # under some terms the first may be the last
    yield from dealt.values()


def _is_tried_under_all(way: Way, point: Point) -> bool:
    if way.fate is Fate.UNSYNCED:
        return True  # who keeps what is there finds what the dead one has left
    if way.fate is Fate.REPLACED:
        return point == way.publishing
    return way.fate in {Fate.MOVED, Fate.EQUAL} and way.size is not Size.MIDDLING and point in AROUND_PUBLISHING


def _passed(passings: Mapping[Terms, Mapping[Point, int]]) -> Iterator[Point]:
    seen = {point for counts in passings.values() for point in counts}
    yield from (point for point in POINTS if point in seen)
