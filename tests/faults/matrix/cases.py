"""The cases of the kill matrix: which file is on its way, who dies where, and whether somebody else dies with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penstock.failpoints import CONTROL_POINTS, Point

BY_THE_CLOCK: frozenset[Point] = frozenset({"claim", "nonces.commit", "nonces.committed"})
"""Points that are passed again and again while nothing happens, or whenever somebody asks: the first time is as good as any."""


class Way(StrEnum):
    """Which file is on its way, and what is to become of it."""

    IMPORT_SMALL = "import small"
    IMPORT_MIDDLING = "import middling"  # by one request as well, but never whole in memory
    IMPORT_LARGE = "import large"
    EXPORT_SMALL = "export small"
    EXPORT_MIDDLING = "export middling"
    EXPORT_LARGE = "export large"
    IMPORT_BESIDE = (
        "import small beside another"  # which is under way: an engine with nothing to do claims what comes at once
    )
    IMPORT_CANCELED = "import canceled"  # large, in the middle
    EXPORT_CANCELED = "export canceled"

    @property
    def is_import(self) -> bool:
        return self.value.startswith("import")

    @property
    def is_middling(self) -> bool:
        return self.value.endswith(" middling")

    @property
    def is_whole(self) -> bool:
        """Whether it is moved by one request."""
        return " small" in self.value or self.is_middling

    @property
    def is_canceled(self) -> bool:
        return self.value.endswith("canceled")

    @property
    def is_beside(self) -> bool:
        return self is Way.IMPORT_BESIDE


class Death(StrEnum):
    """Who dies."""

    CONTROL = "service"  # the control process, at a point of its own; movers notice
    MOVER = "mover"  # alone; the control process goes on
    BOTH = "both"  # a mover at its point, and the control process with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A death at the `passing`-th passing of `point`."""

    way: Way
    point: Point
    passing: int = 1
    death: Death

    def __str__(self) -> str:
        return f"{self.way}-{self.point}-{self.passing}-{self.death}".replace(" ", "-")


def case(way: Way, point: Point, passing: int = 1, *, alone: bool = False) -> Case:
    """By whose point it is, and whether a mover dies alone."""
    death = Death.CONTROL if point in CONTROL_POINTS else Death.MOVER if alone else Death.BOTH
    return Case(way=way, point=point, passing=passing, death=death)


EVERY_POINT_ONCE = (
    case(Way.IMPORT_SMALL, "ledger.commit"),
    case(Way.EXPORT_LARGE, "ledger.committed"),
    case(Way.IMPORT_SMALL, "nonces.commit"),
    case(Way.EXPORT_SMALL, "nonces.committed"),
    case(Way.EXPORT_SMALL, "claim"),
    case(Way.IMPORT_LARGE, "claimed"),
    case(Way.EXPORT_LARGE, "leased", 2),
    case(Way.EXPORT_LARGE, "checkpoint.keep", 2),
    case(Way.EXPORT_LARGE, "checkpoint.kept"),
    case(Way.EXPORT_SMALL, "settle"),
    case(Way.IMPORT_LARGE, "settled", 2),
    case(Way.EXPORT_CANCELED, "cancel.tell"),
    case(Way.IMPORT_CANCELED, "cancel.told"),
    case(Way.IMPORT_SMALL, "request.send"),
    case(Way.EXPORT_SMALL, "request.sent", alone=True),
    case(Way.EXPORT_SMALL, "request.answered"),
    case(Way.IMPORT_SMALL, "outcome.tell"),
    case(Way.EXPORT_LARGE, "outcome.told", 2, alone=True),
    case(Way.IMPORT_SMALL, "directory.make", 2),
    case(Way.IMPORT_SMALL, "directory.made"),
    case(Way.IMPORT_SMALL, "directory.sync", 3),
    case(Way.IMPORT_LARGE, "directory.synced", 3),
    case(Way.IMPORT_SMALL, "partial.create"),
    case(Way.IMPORT_LARGE, "partial.created"),
    case(Way.IMPORT_LARGE, "partial.write", 7),
    case(Way.IMPORT_LARGE, "partial.written", 9, alone=True),
    case(Way.IMPORT_LARGE, "partial.flush"),
    case(Way.IMPORT_LARGE, "partial.flushed"),
    case(Way.IMPORT_SMALL, "partial.sync"),
    case(Way.IMPORT_SMALL, "partial.synced", alone=True),
    case(Way.IMPORT_CANCELED, "partial.remove"),
    case(Way.IMPORT_CANCELED, "partial.removed"),
    case(Way.IMPORT_LARGE, "journal.create"),
    case(Way.IMPORT_LARGE, "journal.created"),
    case(Way.IMPORT_LARGE, "journal.write", 4),
    case(Way.IMPORT_LARGE, "journal.written", 5, alone=True),
    case(Way.IMPORT_LARGE, "journal.sync"),
    case(Way.IMPORT_LARGE, "journal.synced", 2),
    case(Way.IMPORT_CANCELED, "journal.remove"),
    case(Way.IMPORT_LARGE, "journal.removed", 3),
    case(Way.IMPORT_LARGE, "promise"),
    case(Way.IMPORT_LARGE, "promised"),
    case(Way.IMPORT_LARGE, "rename", alone=True),
    case(Way.IMPORT_LARGE, "renamed"),
    case(Way.EXPORT_LARGE, "upload.intend"),
    case(Way.EXPORT_LARGE, "upload.intended"),
    case(Way.EXPORT_LARGE, "upload.initiate", alone=True),
    case(Way.EXPORT_LARGE, "upload.initiated"),
    case(Way.EXPORT_LARGE, "upload.name", alone=True),
    case(Way.EXPORT_LARGE, "upload.named"),
    case(Way.EXPORT_LARGE, "part.send", 4),
    case(Way.EXPORT_LARGE, "part.sent", 3, alone=True),
    case(Way.EXPORT_LARGE, "upload.complete"),
    case(Way.EXPORT_LARGE, "upload.completed"),
    case(Way.EXPORT_CANCELED, "upload.abort", alone=True),
    case(Way.EXPORT_CANCELED, "upload.aborted"),
)
"""Each point at least once, in a place where its death is worst; `make kill-matrix` tries all of them everywhere."""

IN_THE_MIDDLE = (
    case(Way.IMPORT_MIDDLING, "directory.made"),
    case(Way.IMPORT_MIDDLING, "partial.created", alone=True),
    case(Way.IMPORT_MIDDLING, "partial.write", 3),
    case(Way.IMPORT_MIDDLING, "partial.written", 4, alone=True),
    case(Way.IMPORT_MIDDLING, "partial.synced"),
    case(Way.IMPORT_MIDDLING, "renamed", alone=True),
    case(Way.EXPORT_MIDDLING, "request.sent"),
    case(Way.EXPORT_MIDDLING, "request.answered", alone=True),
)
"""Of a file that passes through memory a grain at a time, where it is not all there yet, and around its publishing."""

TO_THE_MOVER: frozenset[Point] = frozenset({"ledger.commit", "ledger.committed", "claim", "claimed", "leased"})
"""From being created to a mover's hands: what is else beside another file that is under way; the rest is as it is without."""

UNCLAIMED: tuple[Point, ...] = ("ledger.committed", "claim")
"""Where, the first time, a file that came beside another one is created and committed, but not claimed yet."""

CREATED_ONLY = tuple(case(Way.IMPORT_BESIDE, point) for point in UNCLAIMED)
"""The catalog has the sub-task, and nobody works on it."""

WITHOUT_REPLACING = (
    case(Way.IMPORT_SMALL, "renamed"),
    case(Way.IMPORT_LARGE, "renamed"),
    case(Way.EXPORT_SMALL, "request.answered"),
    case(Way.EXPORT_LARGE, "upload.completed"),
)
"""Where the name is taken already by what the dead one has published, and must be known for its own."""

TWICE = (
    (case(Way.IMPORT_LARGE, "partial.written", 5), case(Way.IMPORT_LARGE, "journal.write", alone=True)),
    (case(Way.IMPORT_LARGE, "promised"), case(Way.IMPORT_LARGE, "promised", alone=True)),
    (case(Way.IMPORT_LARGE, "renamed"), case(Way.IMPORT_LARGE, "settle")),
    (case(Way.EXPORT_LARGE, "upload.initiated"), case(Way.EXPORT_LARGE, "upload.abort", alone=True)),
    (case(Way.EXPORT_LARGE, "part.sent", 2), case(Way.EXPORT_LARGE, "part.sent", alone=True)),
    (case(Way.EXPORT_LARGE, "upload.completed"), case(Way.EXPORT_LARGE, "outcome.tell", alone=True)),
)
"""Who goes on where somebody died, dies as well."""

PUBLISHED = (
    case(Way.IMPORT_LARGE, "renamed"),
    case(Way.IMPORT_LARGE, "outcome.told", 2),
    case(Way.EXPORT_SMALL, "request.answered"),
    case(Way.EXPORT_LARGE, "upload.completed"),
)
"""The file is where it should be and the catalog does not know. (A small import keeps no journal: it is moved once more.)"""
