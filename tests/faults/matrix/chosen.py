"""The deaths that `make test` dies: few, in places where they are worst. `make kill-matrix` dies everywhere."""

from __future__ import annotations

from penstock.failpoints import Point
from tests.faults.matrix.cases import LATEST, LATEST_PLAIN, OVERWRITE_PLAIN, SKIP, SKIP_VERSIONED, Way, case

ALL_PLACES = (
    Way.IMPORT_SMALL,
    Way.IMPORT_MIDDLING,
    Way.IMPORT_CACHED,
    Way.IMPORT_LARGE,
    Way.EXPORT_LARGE,
    Way.IMPORT_CANCELED,
    Way.EXPORT_CANCELED,
    Way.EXPORT_DAMAGED,
)
"""Ways on which, together, every failpoint is passed, wherever it stands in the code, and the matrix tries a death there."""

WORST = (
    case(Way.EXPORT_LARGE, "claimed", terms=SKIP),
    case(Way.EXPORT_LARGE, "checkpoint.kept"),
    case(Way.IMPORT_SMALL, "settle", terms=SKIP),
    case(Way.IMPORT_SMALL, "directory.made", alone=True),
    case(Way.IMPORT_SMALL, "renamed", terms=LATEST),
    case(Way.IMPORT_MIDDLING, "partial.written", 3, terms=OVERWRITE_PLAIN),
    case(Way.IMPORT_LARGE, "partial.written", 9, alone=True),
    case(Way.IMPORT_LARGE, "journal.written", 4, terms=OVERWRITE_PLAIN),
    case(Way.IMPORT_LARGE, "promised", terms=LATEST_PLAIN),
    case(Way.IMPORT_LARGE, "renamed", terms=SKIP),
    case(Way.EXPORT_SMALL, "request.answered", terms=SKIP),
    case(Way.EXPORT_SMALL, "request.answered", 2, terms=SKIP_VERSIONED),
    case(Way.EXPORT_MIDDLING, "request.sent", alone=True, terms=LATEST),
    case(Way.EXPORT_LARGE, "upload.initiated", terms=OVERWRITE_PLAIN),
    case(Way.EXPORT_LARGE, "part.sent", 3, alone=True),
    case(Way.EXPORT_LARGE, "upload.completed", terms=SKIP_VERSIONED),
)
"""A file on its way: between two steps that belong together, and where only others know what was done."""

ENDING_BADLY = (
    case(Way.IMPORT_CANCELED, "cancel.told"),
    case(Way.IMPORT_MIDDLING_CANCELED, "partial.remove", terms=SKIP),
    case(Way.EXPORT_CANCELED, "upload.abort", alone=True),
    case(Way.IMPORT_SMALL_FAILED, "partial.remove"),
    case(Way.IMPORT_FAILED, "journal.removed", terms=SKIP),
    case(Way.IMPORT_TURNED, "journal.removed"),
    case(Way.EXPORT_FAILED, "upload.aborted"),
    case(Way.EXPORT_DAMAGED, "version.delete"),
    case(Way.EXPORT_WITHDRAWN, "version.delete"),
    case(Way.EXPORT_OVERTAKEN, "version.delete", terms=SKIP_VERSIONED),
)
"""While something is cleaned up."""

MEANWHILE = (
    case(Way.EXPORT_BARRED, "upload.completed", alone=True, terms=SKIP),
    case(Way.IMPORT_RECALLED, "renamed"),
    case(Way.IMPORT_SMALL_CONSUMED, "renamed", alone=True),
    case(Way.EXPORT_REPLACED, "upload.completed", alone=True, terms=OVERWRITE_PLAIN),
    case(Way.IMPORT_SMALL_UNSYNCED, "renamed", alone=True, terms=SKIP),
    case(Way.IMPORT_MIDDLING_UNSYNCED, "renamed", alone=True, terms=LATEST),
)
"""It is published, and before anybody says so something happens. The matrix tries more of it."""

REFUSED = (case(Way.IMPORT_SMALL_REFUSED, "request.answered", alone=True),)
"""Its Condition does not hold, and its equal is at its target already. Likewise."""

UNCLAIMED: tuple[Point, ...] = ("ledger.committed", "claim")
"""Where, the first time, a file that came beside another one is created and committed, but not claimed yet."""

CREATED_ONLY = (case(Way.IMPORT_BESIDE, "ledger.committed"),)
"""The catalog has the sub-task, and nobody works on it."""

TWICE = (
    (case(Way.IMPORT_LARGE, "partial.written", 5), case(Way.IMPORT_LARGE, "journal.write", alone=True)),
    (case(Way.EXPORT_LARGE, "upload.initiated"), case(Way.EXPORT_LARGE, "upload.abort", alone=True)),
)
"""Who goes on where somebody died, dies as well."""

PUBLISHED = (
    case(Way.IMPORT_LARGE, "renamed"),
    case(Way.EXPORT_LARGE, "upload.completed"),
)
"""The file is where it should be and the catalog does not know. (A small import keeps no journal: it is moved once more.)"""
