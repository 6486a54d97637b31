"""The journal beside a partial file: what is known to be in it, and that it is about to be published.

Append-only lines, each with its own CRC, so that a torn or damaged line is passed over. Parts are a hint (they are read again
before they are trusted: after a power cut the journal may know more than the disk); `Publishing` is a promise and therefore
fsynced. Calls the kernel only, relative to a held directory.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from penstock import failpoints
from penstock.transfer import crc64, posix, strangers
from penstock.transfer.identity import Identity
from penstock.transfer.posix import FileState

FORMAT = 1
_READ_MAX_BYTES = 16 << 20  # 10,000 parts take about 0.6 MB
# Where a power cut left less: nothing, or zeros.
_BEGINS = re.compile(rb"[0-9a-f]{0,16}\0*|[0-9a-f]{16} \0*|[0-9a-f]{16} \{")
_BEGINS_BYTES = 18
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIdentity:
    """The object whose bytes are in the partial file, and how it is cut."""

    key: str
    etag: str
    version_id: str
    size_bytes: int
    part_size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Written right before the rename: this inode, whole and verified, is to take the target's name."""

    inode: int
    size_bytes: int
    crc64: int
    modify_ns: int
    compared: int  # 1: the store told a checksum and it was the same
    owner_kept: int = 1  # 0: another owner was asked for than it could be given
    time_kept: int = 1  # 0: the file system cannot hold that modification time
    over_inode: int = 0  # what had the target's name then; 0: nothing
    over_birth_ns: int = 0
    over_change_ns: int = 0

    def is_over(self, target: FileState) -> bool:
        """Whether what has the target's name had it already when this was written: so nothing has taken it since."""
        if target.inode != self.over_inode:
            return False
        if 0 in {self.over_birth_ns, target.birth_ns}:
            return target.change_ns == self.over_change_ns
        return target.birth_ns == self.over_birth_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a journal says. `parts` maps part numbers to CRC-64 values. `partial`: None where an earlier version wrote it.

    `is_published`: what `publishing` promises was seen to come true.
    """

    source: SourceIdentity | None = None
    partial: Identity | None = None
    parts: Mapping[int, int] = field(default_factory=dict)
    publishing: Publishing | None = None
    is_published: bool = False

    @property
    def ours(self) -> Identity | None:
        """Which file the partial file is, as far as it tells."""
        if self.partial is not None or self.publishing is None:
            return self.partial
        return Identity(inode=self.publishing.inode)


class Journal:
    """An open journal. Appending is safe from several threads."""

    def __init__(self, directory: int, name: bytes, descriptor: int) -> None:
        self._directory = directory
        self._name = name
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    def create(cls, directory: int, name: bytes, source: SourceIdentity, partial: Identity) -> Journal:
        """A new journal in place of any older one, durable but for its name. Raises OSError: then there is none.

        `partial` is the file that it is of: what else may have the partial file's name one day is not ours.
        """
        remove(directory, name)
        failpoints.passing("journal.create")
        journal = cls(directory, name, os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory))
        failpoints.passing("journal.created")
        try:
            journal._append({"format": FORMAT, "source": asdict(source), "partial": asdict(partial)})
            journal._sync(os.fsync)
        except BaseException:
            try:
                journal.remove()
            finally:
                journal.close()
            raise
        return journal

    @classmethod
    def reopen(cls, directory: int, name: bytes) -> tuple[Journal, Recorded] | None:
        """An existing journal, to go on with, and what it says. Raises OSError.

        None if there is none, or what may be somebody's: it is no plain file, it has another name too, or its first line is none
        of ours. (A torn first line tells nothing either.) Nothing is written into that.
        """
        descriptor = _opened(directory, name, _FLAGS)
        if descriptor is None:
            return None
        journal = cls(directory, name, descriptor)
        try:
            state = posix.look_open(descriptor)
            if not state.is_regular or state.links > 1:
                journal.close()
                return None
            text = _read(descriptor)
            recorded = parse(text)
            if recorded.source is None:
                journal.close()
                return None
            if not text.endswith(b"\n"):
                journal._write(b"\n")  # ends a torn line, so that the next one stands alone
        except BaseException:
            journal.close()
            raise
        return journal, recorded

    def record_part(self, number: int, crc: int) -> None:
        """Say that a part's bytes were written. Raises OSError."""
        self._append({"part": number, "crc64": crc})

    def record_publishing(self, publishing: Publishing) -> None:
        """Promise the rename; on stable storage on return. Raises OSError."""
        failpoints.passing("promise")
        self._append({"publishing": asdict(publishing)})
        self._sync(os.fsync)
        failpoints.passing("promised")

    def record_published(self) -> None:
        """The promise came true. Not synced: a mover's death leaves the line, after a power cut the target itself has to tell,
        or the partial file, which then is there again and goes before this line. Raises OSError."""
        self._append({"published": True})

    def take_back(self) -> None:
        """The promise does not hold: the file that was to be published is gone. On stable storage on return. Raises OSError."""
        self._append({"publishing": None})
        self._sync(os.fsync)

    def sync(self) -> None:
        """Put what was recorded on stable storage. Raises OSError."""
        self._sync(os.fdatasync)

    def remove(self) -> bool:
        """Take the name away, False if it was gone or leads elsewhere; the journal stays open until `close`. Raises OSError."""
        there = posix.look_or_none(self._directory, self._name)
        is_ours = there is not None and there.inode == os.fstat(self._descriptor).st_ino
        return is_ours and remove(self._directory, self._name)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _sync(self, call: Callable[[int], None]) -> None:
        failpoints.passing("journal.sync")
        call(self._descriptor)
        failpoints.passing("journal.synced")

    def _append(self, record: Mapping[str, Any]) -> None:
        payload = json.dumps(record, separators=(",", ":")).encode()
        self._write(b"%016x %s\n" % (crc64.update(payload), payload))

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        failpoints.passing("journal.write")
        with self._lock:
            while left:
                left = left[os.write(self._descriptor, left) :]
        failpoints.passing("journal.written")


def read(directory: int, name: bytes) -> Recorded | None:
    """What the journal `name` says; None if there is none. Nothing is written, whatever has that name. Raises OSError."""
    descriptor = _opened(directory, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if descriptor is None:
        return None
    try:
        return parse(_read(descriptor)) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def is_foreign(directory: int, name: bytes) -> bool:
    """Whether the plain file of that name begins as no journal does, however it was torn. Raises OSError."""
    descriptor = _opened(directory, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if descriptor is None:
        return False
    try:
        return not _BEGINS.fullmatch(os.pread(descriptor, _BEGINS_BYTES, 0))
    finally:
        os.close(descriptor)


def remove(directory: int, name: bytes) -> bool:
    """Remove a journal; False if there is none. What is neither a file nor a link is not ours, and stays. Raises OSError."""
    found = posix.look_or_none(directory, name)
    if found is not None and strangers.is_stranger(found):
        return False
    failpoints.passing("journal.remove")
    is_removed = posix.unlink_if_there(directory, name)
    failpoints.passing("journal.removed")
    return is_removed


def parse(text: bytes) -> Recorded:
    """What sound lines say; the last word on a part counts. Unsound lines are passed over."""
    source: SourceIdentity | None = None
    partial: Identity | None = None
    publishing: Publishing | None = None
    is_published = False
    parts: dict[int, int] = {}
    for line in text.split(b"\n"):
        record = _sound(line)
        if record is None:
            continue
        try:
            if "source" in record and record.get("format") == FORMAT:
                told = record.get("partial")
                source, partial = SourceIdentity(**record["source"]), None if told is None else Identity(**told)
            elif "publishing" in record:
                promised = record["publishing"]
                publishing, is_published = None if promised is None else Publishing(**promised), False
            elif "published" in record:
                is_published = True
            elif "part" in record:
                parts[int(record["part"])] = int(record["crc64"])
        except (TypeError, ValueError, KeyError):
            continue  # written by another version of Penstock
    return Recorded(source=source, partial=partial, parts=parts, publishing=publishing, is_published=is_published)


def _opened(directory: int, name: bytes, flags: int) -> int | None:
    """None where there is nothing, or what cannot be ours: a link (not followed), a directory, a device. Raises OSError."""
    found = posix.look_or_none(directory, name)
    if found is None or not found.is_regular:
        return None
    try:
        return os.open(name, flags | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None


def _sound(line: bytes) -> dict[str, Any] | None:
    checksum, separator, payload = line.partition(b" ")
    try:
        if not separator or len(checksum) != 16 or int(checksum, 16) != crc64.update(payload):
            return None
        record = json.loads(payload)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _read(descriptor: int) -> bytes:
    chunks: list[bytes] = []
    length = 0
    while length < _READ_MAX_BYTES:
        chunk = os.pread(descriptor, 1 << 20, length)
        if not chunk:
            break
        chunks.append(chunk)
        length += len(chunk)
    return b"".join(chunks)
