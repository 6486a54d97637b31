"""From what was listed to what the catalog is fed with: sub-tasks for what can be moved, lines of a report for the rest. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock.catalog.batchwork import BatchFile, Feed, Remark, Selection
from penstock.engine.orders import bucket_name
from penstock.engine.pieces import Seek
from penstock.errors import FailureCode
from penstock.model import Report, TaskAction
from penstock.transfer.listed import Kind, Listed
from penstock.transfer.transfer import Symlinks

END = "end"
"""As the catalog keeps how far was listed, where that was to the end."""


class Entry(NamedTuple):
    """One that was listed, its path relative to the dataflow, where listing goes on behind it, and why it is passed over."""

    listed: Listed
    behind: Seek
    reason: str = ""


class Sides(Protocol):
    """Between what a batch, or an auto-refresh, moves files."""

    @property
    def action(self) -> TaskAction:
        """Import or Export."""

    @property
    def file_system_id(self) -> str:
        """One side."""

    @property
    def file_system_path(self) -> str:
        """Of the dataflow."""

    @property
    def source_storage(self) -> str:
        """The other side."""

    @property
    def source_storage_path(self) -> str:
        """Of the dataflow."""

    @property
    def directory(self) -> str:
        """Beneath the side where it is listed."""

    @property
    def target_directory(self) -> str:
        """Beneath the side that it goes to."""


class Ways:
    """A batch's two sides: where what was listed lies, and where it is to go."""

    def __init__(self, batch: Sides, selection: Selection, symlinks: Symlinks) -> None:
        importing = batch.action is TaskAction.IMPORT
        self._source_root = batch.source_storage_path if importing else batch.file_system_path
        target_root = batch.file_system_path if importing else batch.source_storage_path
        self._target_root = target_root[:-1] + batch.target_directory
        scheme = batch.source_storage.partition("://")[0]
        self._home = batch.file_system_id if importing else f"{scheme}://{bucket_name(batch.source_storage)}"
        self._takes_links = symlinks is Symlinks.VENDOR
        named = selection.entry_list or selection.file_list_path
        self._cut = 0 if named else len(batch.directory) - 1

    def feed(self, before: str, entries: Sequence[Entry], behind: Seek | None) -> Feed:
        """These entries, in order; `behind` is where listing goes on. None: there is no more."""
        files: list[BatchFile] = []
        remarks: list[Remark] = []
        for entry in entries:
            listed = entry.listed
            source, target = self._source_root + listed.path, self._target_root + listed.path[self._cut :]
            verdict = (Report.FAILED, entry.reason) if entry.reason else self._verdict(listed)
            if verdict is None:
                files.append(BatchFile(source, target, self._home + target, listed.size_bytes))
            else:
                report, reason = verdict
                said = sayable(source), sayable(target)
                remarks.append(Remark(report, *said, listed.size_bytes, listed.modify_ns, reason))
        seek = END if behind is None else behind.text
        return Feed(before=before, seek=seek, is_last=behind is None, files=files, remarks=remarks)

    def _verdict(self, listed: Listed) -> tuple[Report, str] | None:
        """In which report an entry stands that is not moved, and why; None for one that is."""
        if not listed.path.isascii() and sayable(listed.path) != listed.path:
            return Report.FAILED, f"{FailureCode.NOT_SUPPORTED}: its name is not UTF-8, and an object's key has to be"
        match listed.kind:
            case Kind.FILE:
                return None
            case Kind.SYMLINK if self._takes_links:
                return None
            case Kind.SYMLINK:
                return (
                    Report.SKIPPED,
                    f"{FailureCode.SOURCE_IS_SYMLINK}: it is a symbolic link, and those are not followed",
                )
            case Kind.MARKER if listed.size_bytes == 0:
                return (
                    Report.SKIPPED,
                    f"{FailureCode.SOURCE_IS_DIRECTORY}: its key ends with `/`: it only marks a directory",
                )
            case Kind.MARKER:
                words = "its key ends with `/`, and no file can have such a name; it has content"
                return Report.FAILED, f"{FailureCode.SOURCE_IS_DIRECTORY}: {words}"
            case Kind.EMPTY:
                return Report.SKIPPED, f"{FailureCode.SOURCE_IS_DIRECTORY}: it is an empty directory; buckets have none"
            case Kind.SPECIAL:
                return Report.FAILED, f"{FailureCode.SOURCE_NOT_REGULAR}: it is a device, socket or FIFO, not a file"
            case Kind.CLOSED:
                words = "the service's user may not look into it: see owner and mode"
                return Report.FAILED, f"{FailureCode.PERMISSION_DENIED}: {words}"


def sayable(path: str) -> str:
    """A path that everybody can read: bytes that are not UTF-8 as `\\xNN`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
