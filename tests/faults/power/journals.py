"""A journal names its partial file by inode and birth, which are others on a disk that is made anew: they are put right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from penstock.transfer import crc64, posix
from penstock.transfer.identity import Identity

NOBODY = Identity(inode=0)


def is_journal(path: str) -> bool:
    """Whether a file of that name is one."""
    return path.endswith(".journal")


def partial_of(path: str) -> str:
    """The name of the partial file that a journal belongs to."""
    return path.removesuffix(".journal") + ".partial"


def put_right(journal: Path, partial: Path | None) -> None:
    """Have the journal name `partial`, wherever that is now; None: a file that has no name any more."""
    ours = NOBODY if partial is None else Identity.of(posix.look_path(bytes(partial)))
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join(_told(line, ours) for line in lines))


def _told(line: bytes, ours: Identity) -> bytes:
    """Torn lines stay as they are."""
    checksum, _, payload = line.partition(b" ")
    if checksum != b"%016x" % crc64.update(payload) or not payload:
        return line
    record: dict[str, Any] = json.loads(payload)
    if "partial" in record:
        record["partial"] = {"inode": ours.inode, "birth_ns": ours.birth_ns}
    if record.get("publishing"):
        record["publishing"]["inode"] = ours.inode
    payload = json.dumps(record, separators=(",", ":")).encode()
    return b"%016x %s" % (crc64.update(payload), payload)
