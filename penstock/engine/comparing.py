"""A comparison of a dataflow's two sides, step by step: both are listed side by side, objects asked for, files read.

Blocks; called in a thread. Holds a page of each side and the pairs of one look, however much is compared. Reads both sides and
writes to neither. What was found is the caller's to keep: a comparison that is made anew goes on where the last kept step ended.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from penstock.catalog.batchwork import Difference, Remark
from penstock.engine import looking, verdicts
from penstock.engine.pieces import Piece
from penstock.engine.verdicts import Names, Subject
from penstock.errors import (
    FailureCode,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoppedError,
    StoreError,
    TransferError,
)
from penstock.model import Checksums, Comparison, FileSystem, Report
from penstock.stores.base import Store
from penstock.transfer import contents, keys, object_sum, tree
from penstock.transfer.contents import Reading
from penstock.transfer.listed import Kind, Listed, Look, Trouble
from penstock.transfer.merging import Merge, Pair, Walked
from penstock.transfer.refusals import from_store
from penstock.transfer.transfer import Symlinks

PAIRS_MAX = 1000
"""Paths of one look."""

READ_AT_ONCE = 64
"""Files that are read before what was found is kept."""

READ_BUDGET_S = 1.0
"""For so long nobody looks whether to stop, while files are read."""

THREADS = 8
"""Objects that are asked for at once."""


_Answer = TypeVar("_Answer")


class Spot(NamedTuple):
    """Where a comparison goes on: in which piece, and how far both sides of it were walked."""

    piece: int = 0
    walked: Walked = Walked()

    @property
    def text(self) -> str:
        """As the catalog keeps it."""
        return json.dumps([self.piece, *self.walked])


def spot_of(text: str) -> Spot:
    """What the catalog has kept; the start where that is nothing."""
    if not text:
        return Spot()
    piece, *walked = json.loads(text)
    return Spot(piece, Walked(*walked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is compared, and how. Roots begin and end with `/`, as paths are answered; pieces are relative to `here`'s."""

    file_system: FileSystem
    open_bucket: Callable[[], Store]
    here: str
    there: str
    cut: int  # so much of a piece's path is not in the bucket
    pieces: Sequence[Piece]
    checksums: Checksums
    symlinks: Symlinks
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one step has found; `behind` is None where there is no more."""

    behind: Spot | None
    differences: Sequence[Difference]
    remarks: Sequence[Remark]
    counts: Comparison
    bytes_total: int
    bytes_done: int


class _Met(NamedTuple):
    """A path that was looked at, where a comparison goes on behind it, and where it lies."""

    subject: Subject
    behind: Spot
    where: Names

    @property
    def path_here(self) -> str:
        """Its path beneath the file system's root."""
        return (self.where.here + self.subject.pair.path)[1:]


class Running:
    """One comparison from `spot` on. `step` it until its `behind` is None. For one thread at a time."""

    def __init__(self, ground: Ground, spot: Spot, is_stopped: Callable[[], bool]) -> None:
        self._ground = ground
        self._spot = spot  # how far both sides were walked
        self._is_stopped = is_stopped
        self._merge: Merge | None = None
        self._met: deque[_Met] = deque()

    def step(self) -> Found:
        """What comes next. Raises TransferError, StoppedError; it is of no use any more then."""
        try:
            with closing(self._ground.open_bucket()) as opened, ThreadPoolExecutor(THREADS) as threads:
                store = opened.heeding(self._is_stopped)
                if not self._met:
                    self._meet(store, threads)
                count = len(self._met) if self._ground.checksums is Checksums.NONE else READ_AT_ONCE
                met = [self._met.popleft() for _ in range(min(count, len(self._met)))]
                self._look_again(met)
                read_bytes = 0
                if self._ground.checksums is not Checksums.NONE:
                    read_bytes = self._sum(store, threads, met)
        except StoreError as error:
            raise from_store(error) from error
        return self._found(met, read_bytes)

    def _behind(self, met: Sequence[_Met]) -> Spot | None:
        if self._met:
            return met[-1].behind
        return None if self._spot.piece >= len(self._ground.pieces) else self._spot

    # ---------------------------------------------------------------------------------------------------------------- meet

    def _meet(self, store: Store, threads: ThreadPoolExecutor) -> None:
        """Walk both sides on, and ask for the objects that have a file of their name. Raises StoreError, TransferError."""
        pieces = self._ground.pieces
        while not self._met and self._spot.piece < len(pieces):
            self._stop_if_asked()
            if pieces[self._spot.piece].is_tree:
                self._walk(store, threads, pieces[self._spot.piece])
            else:
                self._meet_named(store, threads)

    def _walk(self, store: Store, threads: ThreadPoolExecutor, piece: Piece) -> None:
        where = self._where(piece.path, store)
        if self._merge is None:
            self._merge = self._sides(where)
        pairs: list[tuple[Pair, Spot]] = []
        while len(pairs) < PAIRS_MAX and (pair := self._merge.next()) is not None:
            pairs.append((pair, self._spot._replace(walked=self._merge.walked)))
        subjects = threads.map(partial(self._subject, store, where), [pair for pair, _ in pairs])
        self._met += [_Met(one, behind, where) for one, (_, behind) in zip(subjects, pairs, strict=True)]
        if len(pairs) == PAIRS_MAX:
            self._spot = pairs[-1][1]
        else:
            self._merge = None
            self._spot = Spot(piece=self._spot.piece + 1)

    def _where(self, base: str, store: Store) -> Names:
        there = self._ground.there + base[self._ground.cut :]
        return Names(self._ground.here + base, there, store.limits.key_length_max_bytes)

    def _sides(self, where: Names) -> Merge:
        """Both sides beneath these, walked on where that ended. Raises TransferError where there is neither."""

        def look_there(after: str) -> Look:
            try:
                with closing(self._ground.open_bucket()) as opened:
                    return keys.look(opened.heeding(self._is_stopped), where.there[1:], after, PAIRS_MAX)
            except StoreError as error:
                raise from_store(error) from error

        def look_here(after: str) -> Look:
            found = self._asked(
                tree.look, where.here[1:], after, looking.NAMES_MAX if after else PAIRS_MAX, is_long=bool(after)
            )
            if not isinstance(found, Trouble):
                return found
            if found.code is not FailureCode.SOURCE_NOT_FOUND or after:
                raise TransferError(found.code, found.message, waiting_helps=found.waiting_helps)
            if self._spot.walked == Walked() and not look_there("").found:
                words = f"there is neither a directory {where.here} nor an object beneath {where.there[1:]!r}"
                raise TransferError(FailureCode.SOURCE_NOT_FOUND, words)
            return Look((), None)

        return Merge(look_here, look_there, self._spot.walked)

    def _subject(self, store: Store, where: Names, pair: Pair) -> Subject:
        """In one of the threads."""
        here, there = pair.here, pair.there
        if here is None or there is None or here.kind is not Kind.FILE or there.kind is not Kind.FILE:
            return Subject(pair, here)
        self._stop_if_asked()
        try:
            return Subject(pair, here, info=store.head((where.there + pair.path)[1:]))
        except ObjectNotFoundError:  # it has gone since it was listed
            return Subject(pair._replace(there=None), here)
        except StoreError as error:
            return Subject(pair, here, refusal=_lasting(from_store(error)))

    def _meet_named(self, store: Store, threads: ThreadPoolExecutor) -> None:
        """The next entries that name files."""
        where = self._where("", store)
        named: list[str] = []
        for piece in self._ground.pieces[self._spot.piece : self._spot.piece + PAIRS_MAX]:
            if piece.is_tree:
                break
            named.append(piece.path)
        states = self._states([(where.here + path)[1:] for path in named])
        subjects = threads.map(partial(self._named, store, where), named, states)
        for number, subject in enumerate(subjects, self._spot.piece + 1):
            self._met.append(_Met(subject, Spot(piece=number), where))
        self._spot = Spot(piece=self._spot.piece + len(named))

    def _named(self, store: Store, where: Names, path: str, here: Listed | None) -> Subject:
        """In one of the threads."""
        self._stop_if_asked()
        mine = here._replace(path=path) if here is not None else None
        try:
            info = store.head((where.there + path)[1:])
        except ObjectNotFoundError:
            gone = TransferError(FailureCode.SOURCE_NOT_FOUND, "there is neither such a file nor such an object")
            return Subject(Pair(path, mine, None), mine, refusal=gone if mine is None else None)
        except StoreError as error:
            return Subject(Pair(path, mine, None), mine, refusal=_lasting(from_store(error)))
        there = Listed(path, Kind.FILE, info.size_bytes, info.last_modified_ns)
        return Subject(Pair(path, mine, there), mine, info=info)

    # ------------------------------------------------------------------------------------------------------------- compare

    def _look_again(self, met: Sequence[_Met]) -> None:
        """A file that differs may have been changed since it was listed: what is told of it is how it is now."""
        doubtful = [one for one in met if one.subject.are_files and one.subject.differs_in()]
        states = self._states([one.path_here for one in doubtful])
        for one, state in zip(doubtful, states, strict=True):
            one.subject.here = state._replace(path=one.subject.pair.path) if state is not None else None

    def _sum(self, store: Store, threads: ThreadPoolExecutor, met: Sequence[_Met]) -> int:
        """Read files whose sizes are the same, and objects where that was asked for; how many bytes.

        Raises TransferError, StoppedError.
        """
        alike = [one for one in met if one.subject.are_files and verdicts.SIZE not in one.subject.differs_in()]
        readings = self._read([Reading(one.path_here) for one in alike])
        for one, reading in zip(alike, readings, strict=True):
            _note_reading(one.subject, reading)
        whole = [one.subject for one in alike if one.subject.refusal is None]
        list(threads.map(partial(self._sum_object, store), whole))
        return sum(reading.offset for reading in readings) + sum(one.read_bytes for one in whole)

    def _read(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        while unread := [one for one in readings if not one.is_whole and one.trouble is None]:
            self._stop_if_asked()
            found = self._asked(contents.read_on, unread, READ_BUDGET_S)
            if isinstance(found, Trouble):
                raise TransferError(found.code, found.message, waiting_helps=found.waiting_helps)
            further = {one.path: one for one in found}
            readings = [further.get(one.path, one) for one in readings]
        return readings

    def _sum_object(self, store: Store, subject: Subject) -> None:
        """In one of the threads. Raises TransferError where waiting helps."""
        info = subject.info
        if info is None:
            return
        subject.object_crc64 = info.crc64
        if info.crc64 is not None or self._ground.checksums is not Checksums.READ:
            return
        try:
            subject.object_crc64 = object_sum.crc64_of(store, info, self._is_stopped)
            subject.read_bytes = info.size_bytes
        except (ObjectNotFoundError, PreconditionFailedError):
            words = f"the object {info.key!r} was changed while it was compared; compare it again when it is quiet"
            subject.refusal = TransferError(FailureCode.SOURCE_CHANGED, words)
        except StoreError as error:
            subject.refusal = _lasting(from_store(error))

    # ---------------------------------------------------------------------------------------------------------------- tell

    def _found(self, met: Sequence[_Met], read_bytes: int) -> Found:
        counts: Counter[str] = Counter(read_bytes=read_bytes)
        differences: list[Difference] = []
        remarks: list[Remark] = []
        sizes: Counter[bool] = Counter()
        for one in met:
            remark = verdicts.remark(one.subject, one.where, self._ground.symlinks)
            is_compared = remark is None or remark.report is Report.SKIPPED
            sizes[is_compared] += one.subject.size_bytes
            if remark is not None:
                remarks.append(remark)
                counts["skipped" if is_compared else "failed"] += 1
                continue
            difference = verdicts.difference(one.subject, one.where)
            counts.update(verdicts.counted(one.subject, difference, self._ground.checksums))
            if difference is not None:
                differences.append(difference)
        return Found(
            behind=self._behind(met),
            differences=differences,
            remarks=remarks,
            counts=Comparison(**counts),
            bytes_total=sizes.total(),
            bytes_done=sizes[True],
        )

    # ----------------------------------------------------------------------------------------------------------------- ask

    def _states(self, paths: Sequence[str]) -> Sequence[Listed | None]:
        """How these files look now. Raises TransferError."""
        if not paths:
            return ()
        found = self._asked(contents.states, paths)
        if isinstance(found, Trouble):
            raise TransferError(found.code, found.message, waiting_helps=found.waiting_helps)
        return found

    def _asked(self, question: Callable[..., _Answer], *given: object, is_long: bool = False) -> _Answer:
        """Of the file system; a question that is long is not answered beside the loop. Raises TransferError."""
        asked = looking.asked_aside if is_long else looking.asked
        return asked(self._ground.file_system, self._ground.limit_s, question, *given)

    def _stop_if_asked(self) -> None:
        if self._is_stopped():
            raise StoppedError("the comparison ends")


def _lasting(error: TransferError) -> TransferError:
    """A trouble of one object alone. Raises one that may pass: it is everybody's."""
    if error.waiting_helps:
        raise error
    return error


def _note_reading(subject: Subject, reading: Reading) -> None:
    """Raises TransferError where waiting helps."""
    here, trouble = subject.here, reading.trouble
    if trouble is not None:
        subject.refusal = _lasting(TransferError(trouble.code, trouble.message, waiting_helps=trouble.waiting_helps))
    elif here is not None and (reading.size_bytes, reading.modify_ns) != (here.size_bytes, here.modify_ns):
        words = f"/{reading.path} was changed while it was compared; compare it again when it is quiet"
        subject.refusal = TransferError(FailureCode.SOURCE_CHANGED, words)
    else:
        subject.crc64 = reading.crc64
