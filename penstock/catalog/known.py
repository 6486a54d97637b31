"""What auto-refreshes know of the objects that their looks have seen: 16 bytes each, in portions between two keys.

An object whose digests are known has not changed. Portions need not end where pages of a listing do: what is seen anew takes
its place in the portions that it overlaps, so that pages may shift. Each verb inside one transaction.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from penstock.catalog.database import Row
from penstock.catalog.refreshwork import Marks
from penstock.catalog.session import Session

_DIGEST_BYTES = 8
_ENTRY_BYTES = 2 * _DIGEST_BYTES


class Portion(NamedTuple):
    """Marks of objects whose keys lie behind `behind`, up to `until`."""

    number: int
    behind: str
    until: str
    marks: Marks


def digest(text: str) -> bytes:
    """What stands for a key, or for how an object was seen."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def between(session: Session, data_flow_number: int, behind: str, until: str) -> list[Portion]:
    """The portions that overlap what lies between two keys."""
    found = session.rows("refreshes.known", data_flow_number=data_flow_number, behind=behind, until=until)
    return [_portion(row) for row in found]


def replace(session: Session, data_flow_number: int, behind: str, until: str, marks: Marks) -> None:
    """Between two keys, know these and nothing else."""
    gone: list[int] = []
    for portion in between(session, data_flow_number, behind, until):
        is_before, is_beyond = portion.behind < behind, portion.until > until
        rest = {key: mark for key, mark in portion.marks.items() if key not in marks}
        if not rest or not (is_before or is_beyond):
            gone.append(portion.number)
            continue
        # What lies on both sides keeps its bounds: which of its keys are on which side cannot be told from digests.
        _change(
            session,
            portion.number,
            until if is_beyond and not is_before else portion.behind,
            behind if is_before and not is_beyond else portion.until,
            rest,
        )
    session.run_in("refreshes.forget_known", gone)
    if marks:
        session.run(
            "refreshes.add_known",
            number=session.next_number(),
            data_flow_number=data_flow_number,
            behind=behind,
            until=until,
            packed=_packed(marks),
        )


def forget(session: Session, task_number: int, sources: Sequence[str]) -> None:
    """If an auto-refresh moved them: objects that could not be imported are not known, so that the next look finds them."""
    row = session.row("batches.refreshed", task_number=task_number)
    if row is None:
        return
    held: dict[int, Portion] = {}
    lost: dict[int, set[bytes]] = defaultdict(set)
    for source in sources:
        key = source.removeprefix("/")
        for portion in between(session, row["data_flow_number"], key[:-1], key):
            held[portion.number] = portion
            lost[portion.number].add(digest(key))
    for number, keys in lost.items():
        portion = held[number]
        marks = {key: mark for key, mark in portion.marks.items() if key not in keys}
        if len(marks) < len(portion.marks):
            _change(session, number, portion.behind, portion.until, marks)


def _change(session: Session, number: int, behind: str, until: str, marks: Marks) -> None:
    session.run("refreshes.change_known", number=number, behind=behind, until=until, packed=_packed(marks))


def _portion(row: Row) -> Portion:
    raw = base64.b85decode(row["packed"])
    entries = (raw[start : start + _ENTRY_BYTES] for start in range(0, len(raw), _ENTRY_BYTES))
    marks = {entry[:_DIGEST_BYTES]: entry[_DIGEST_BYTES:] for entry in entries}
    return Portion(row["number"], row["behind"], row["until"], marks)


def _packed(marks: Marks) -> str:
    return base64.b85encode(b"".join(key + mark for key, mark in marks.items())).decode("ascii")
