"""The rules of order that make a power cut harmless, as assertions on a record: what has to be durable before what is done.

`complaints` names every breach. "Durable before X" means: a sync of that very file or directory began after the change had ended,
and had ended itself when X began. What overlaps proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from tests.faults.power.operations import Kind, Operation
from tests.faults.power.recording import Facts, File

SYNCS = frozenset({Kind.SYNC, Kind.DATA_SYNC})
INTO_A_FILE = frozenset({Kind.WRITE, Kind.RESIZE, Kind.RESERVE, Kind.DRESS, Kind.CREATE})
DATABASE = "catalog.db"
LOG = "catalog.db-wal"


def complaints(operations: Sequence[Operation], facts: Facts) -> list[str]:
    """What breaks a rule; nothing is the best that can be said."""
    return list(Order(operations, facts).every())


class Order:
    """One record under the rules."""

    def __init__(self, operations: Sequence[Operation], facts: Facts) -> None:
        self._all = operations
        self._facts = facts
        self._catalog = [one for one in operations if one.name in {LOG, DATABASE}]
        self._log = [one for one in self._catalog if one.name == LOG]
        self._answers = [one for one in operations if one.path.startswith(f"TCP:[{facts.api}->")]
        self._requests = [one for one in operations if one.path.endswith(f"->{facts.shore}]")]
        self._tree = [one for one in operations if one.path.startswith(facts.init["root"])]

    def every(self) -> Iterator[str]:
        """All complaints."""
        yield from self._copied()
        for file in self._facts.files:
            yield from self._accepted(file)
            yield from self._told(file)
            if self._facts.way.is_canceled:
                yield from self._canceled(file)
            elif self._facts.way.is_import:
                yield from self._published(file)
            elif file.is_large:
                yield from self._uploaded(file)

    # ------------------------------------------------------------------------------------------------------------ the catalog

    def _accepted(self, file: File) -> Iterator[str]:
        """A sub-task is in the log, durably, before its caller hears of it."""
        identity = file.sub_task_id.encode()
        heard = _first(self._answers, lambda one: identity in one.data)
        if heard is None:
            yield f"{file.path}: nobody was told that it was accepted"
        elif not self._is_kept(re.escape(identity), heard):
            yield f"{file.path}: accepted before the log was durable, at {heard.begin}"

    def _told(self, file: File) -> Iterator[str]:
        """Its end is in the log, durably, before anybody hears of it, and COMPLETE before the journal goes."""
        identity = re.escape(file.sub_task_id.encode())
        end = "CANCELED" if self._facts.way.is_canceled else "COMPLETE"
        kept = identity + rb".{0,40}" + end.encode()
        said = rb'"DataFlowSubTaskId":"%s"[^{}]*"Status":"%s"' % (identity, end.encode())
        heard = _first(self._answers, lambda one: _says(said, one.data))
        if heard is None:
            yield f"{file.path}: nobody was told that it is {end}"
        elif not self._is_kept(kept, heard):
            yield f"{file.path}: said to be {end} before the log was durable, at {heard.begin}"
        gone = self._journal_gone(file)
        if gone is not None and not self._is_kept(kept, gone):
            yield f"{file.path}: the journal went before COMPLETE was durable, at {gone.begin}"

    def _canceled(self, file: File) -> Iterator[str]:
        """A cancel is in the log, durably, before its caller hears of it. Then the journal goes, then the partial file, each
        durably, and only then CANCELED is written down: nobody looks for them any more."""
        identity = re.escape(file.sub_task_id.encode())
        heard = _first(self._answers, lambda one: self._facts.cancel.encode() in one.data)
        if heard is None or not self._is_kept(identity + rb".{0,40}CANCELING", heard):
            yield f"{file.path}: its cancel was accepted before the log was durable"
        if not self._facts.way.is_import:
            return
        said = identity + rb".{0,40}CANCELED"
        written = _first(self._log, lambda one: one.kind is Kind.WRITE and _says(said, one.data))
        removed = [one for one in self._tree if one.kind is Kind.UNLINK and one.name.endswith((".journal", ".partial"))]
        if written is None or [one.path.rpartition(".")[2] for one in removed] != ["journal", "partial"]:
            yield f"{file.path}: removed were {[one.name for one in removed]}, and what is CANCELED stands nowhere"
            return
        journal, partial = removed
        if not self._synced(journal.parent, journal.end, partial.begin):
            yield f"{file.path}: the partial file went before the journal was durably gone, at {partial.begin}"
        if not self._synced(partial.parent, partial.end, written.begin):
            yield f"{file.path}: CANCELED before all was durably gone, at {written.begin}"

    def _copied(self) -> Iterator[str]:
        """The log is durable before it is copied into the database, and the copy before the log is begun anew or removed."""
        log_ends, copy_ends, log_synced, copy_synced = -1, -1, -1, -1
        for one in self._catalog:
            is_log = one.name == LOG
            if one.kind in SYNCS:
                log_synced, copy_synced = (one.begin, copy_synced) if is_log else (log_synced, one.begin)
            elif is_log and (one.kind is Kind.UNLINK or (one.kind is Kind.WRITE and one.offset == 0)):
                if copy_synced < copy_ends:
                    yield f"the log was begun anew before the database was durable, at {one.begin}"
                log_ends = one.end if one.kind is Kind.WRITE else -1
            elif is_log and one.kind is Kind.WRITE:
                log_ends = one.end
            elif one.kind is Kind.WRITE:
                if log_synced < log_ends:
                    yield f"the log was copied before it was durable, at {one.begin}"
                copy_ends = one.end

    def _is_kept(self, pattern: bytes, before: Operation) -> bool:
        """Whether a page that says so was in the log, durably, before that."""
        written = _first(self._log, lambda one: one.kind is Kind.WRITE and _says(pattern, one.data))
        if written is None:
            return False
        return any(one.kind in SYNCS and one.begin > written.end and one.end < before.begin for one in self._log)

    # ------------------------------------------------------------------------------------------------------------- the tree

    def _published(self, file: File) -> Iterator[str]:
        """Bytes, then the promise, then the name, then the word, each durable before the next."""
        target = f"{self._facts.init['root']}/{file.path}"
        renames = [one for one in self._tree if one.kind in {Kind.RENAME, Kind.LINK} and one.new_path == target]
        if len(renames) != 1:
            yield f"{file.path}: {len(renames)} times published"
            return
        (rename,) = renames
        into = [one for one in self._tree if one.path == rename.path and one.kind in INTO_A_FILE]
        last = max((one.end for one in into), default=rename.begin)
        if not self._synced(rename.path, last, rename.begin, kinds={Kind.SYNC}):
            yield f"{file.path}: it got its name before all of it was durable, at {rename.begin}"
        if any(one.path == target and one.kind in INTO_A_FILE for one in self._tree):
            yield f"{file.path}: it was changed under its name"
        if file.is_large:
            yield from self._promised(file, rename, last)
        told = self._word(file, rename)
        if told is None:
            yield f"{file.path}: its mover said nothing"
            return
        if not self._synced(rename.parent, rename.end, told.begin):
            yield f"{file.path}: told before its name was durable, at {told.begin}"
        for made in self._tree:
            is_above = made.kind is Kind.MAKE_DIRECTORY and target.startswith(f"{made.path}/")
            if is_above and not self._synced(made.parent, made.end, told.begin):
                yield f"{file.path}: told before the directory {made.name} was durable, at {told.begin}"

    def _promised(self, file: File, rename: Operation, last: int) -> Iterator[str]:
        """The journal's name and the promise in it are durable before the file is renamed; the file before the promise."""
        journal = rename.path.removesuffix(".partial") + ".journal"
        lines = [one for one in self._tree if one.path == journal and one.kind is Kind.WRITE]
        promise = _first(lines, lambda one: b'"publishing"' in one.data)
        if promise is None:
            yield f"{file.path}: no promise"
            return
        if not self._synced(journal, promise.end, rename.begin):
            yield f"{file.path}: it got its name before the promise was durable, at {rename.begin}"
        if not self._synced(rename.path, last, promise.begin, kinds={Kind.SYNC}):
            yield f"{file.path}: promised before all of it was durable, at {promise.begin}"
        made = [one.end for one in self._tree if one.kind is Kind.CREATE and one.path in {journal, rename.path}]
        if not self._synced(rename.parent, max(made, default=promise.begin), promise.begin):
            yield f"{file.path}: promised before the names of its helper files were durable, at {promise.begin}"

    def _journal_gone(self, file: File) -> Operation | None:
        target = f"{self._facts.init['root']}/{file.path}"
        rename = _first(self._tree, lambda one: one.kind is Kind.RENAME and one.new_path == target)
        if rename is None:
            return None
        journal = rename.path.removesuffix(".partial") + ".journal"
        return _first(
            self._tree, lambda one: one.kind is Kind.UNLINK and one.path == journal and one.begin > rename.end
        )

    def _word(self, file: File, after: Operation) -> Operation | None:
        """When its mover says that it is done."""
        said = re.escape(file.sub_task_id.encode()) + rb".{0,4}complete"
        return _first(
            self._all,
            lambda one: (
                one.kind is Kind.SEND
                and one.path.startswith("UNIX")
                and one.begin > after.begin
                and _says(said, one.data)
            ),
        )

    def _synced(self, path: str, after: int, before: int, *, kinds: Iterable[Kind] = SYNCS) -> bool:
        return any(
            one.path == path and one.kind in kinds and one.begin > after and one.end < before for one in self._tree
        )

    # ----------------------------------------------------------------------------------------------------------- the bucket

    def _uploaded(self, file: File) -> Iterator[str]:
        """The intent is durable before an upload is begun, its id before the first part is sent, and what the object has to be
        before it is put together."""
        key = re.escape(file.path.encode())
        begun = _first(
            self._requests, lambda one: re.match(rb"POST /[^ ]*" + key + rb"\?[^ ]*uploads ", one.data) is not None
        )
        part = _first(
            self._requests, lambda one: re.match(rb"PUT /[^ ]*" + key + rb"\?[^ ]*uploadId=", one.data) is not None
        )
        if begun is None or part is None:
            yield f"{file.path}: it was not sent in parts"
            return
        if not self._is_kept(rb'\{"key":"' + key + rb'","intent_ns":', begun):
            yield f"{file.path}: an upload was begun before the intent was durable, at {begun.begin}"
        named = re.search(rb"uploadId=(\w+)", part.data)
        if named is None or not self._is_kept(rb'"upload_id":"' + named[1], part):
            yield f"{file.path}: a part was sent before the upload's id was durable, at {part.begin}"
        whole = _first(
            self._requests, lambda one: re.match(rb"POST /[^ ]*" + key + rb"\?[^ ]*uploadId=", one.data) is not None
        )
        promised = rb'"upload_id":"' + (named[1] if named else b"") + rb'"[^}]{0,400}"crc64":\d'
        if whole is None or not self._is_kept(promised, whole):
            yield f"{file.path}: it was put together before what it has to be was durable"


def _first(operations: Iterable[Operation], wanted: Callable[[Operation], bool]) -> Operation | None:
    return next((one for one in operations if wanted(one)), None)


@lru_cache(maxsize=1 << 17)
def _says(pattern: bytes, data: bytes) -> bool:
    """Whether that stands there. Remembered, for one record is judged again and again, each time without one of its syncs."""
    return re.search(pattern, data, re.DOTALL) is not None
