"""The page of the kill matrix: what is tried, and a table for each kind of file with the commit that it is of.

Tables are put in one at a time, as they are finished; those of others stay, and the page says which are of which commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.matrix.cases import LETTERS, Way
from tests.faults.matrix.smallservice import (
    GRAIN_BYTES,
    LARGE_BYTES,
    MIDDLING_BYTES,
    PART_BYTES,
    PARTS_IN_FLIGHT,
    SMALL_BYTES,
)

TOLD = ",\n".join(f"  **{letter}** {terms}" for letter, terms in LETTERS.items())
HEAD = f"""# The kill matrix

`make kill-matrix` writes these tables. For every cell a served Penstock moved one file beside a bucket server that lives
on. Somebody died by SIGKILL at the point named: the first, a middle or the last time that it is passed. What had died was
started again, and when the file had ended all of this was looked at: the tree (the bytes of the source, no partial file, no
journal), the bucket (the bytes of the source in one version, no unfinished multipart upload), the API's answers (status,
checksum, sizes, progress, the same when asked again), every counter of the catalog against the rows that it counts (as the
dead service left it, too), and how many bytes of the file went over the network.

- A small file has {SMALL_BYTES} bytes and moves in one request. So does a middling one of {MIDDLING_BYTES} bytes, of which
  {GRAIN_BYTES} are in memory at a time. A large one has {LARGE_BYTES} bytes and moves in parts of
  {PART_BYTES}, {PARTS_IN_FLIGHT} at a time; they are that small here so that there are many of them.
- One beside another comes while that one waits for the store: then it is created and claimed by two transactions (for an
  engine with nothing to do it is one), and only deaths between its caller and its mover are tried. A cached one is written
  through the page cache, others past it where the file system offers that. A canceled one is canceled
  in the middle; of a small or middling one that is while its request is under way. A failed one meets a directory at its target
  while it is in the middle, or loses its source. Of a turned one a link on its way is turned to another directory
  while it is in the middle: it is moved into that one, all of it, and nothing of it stays in the other.
  A damaged one arrives with another byte the first time that it is sent;
  if it is canceled too, that happens before the answer comes which would tell. An overtaken one finds
  that somebody else's object, which is to stay, came to its key while it was being sent: its own version is deleted again. Of all
  these only deaths from there on are tried. (A small or middling export that fails has begun nothing, and leaves nothing.)
- One that is over its equal finds at its target what it is itself, bytes and time. What is there stays where the policy asks for
  that, and nothing is moved; else it may be replaced. Where its Condition asks for another size, too, it is refused: FAILED, as
  `ConditionNotMet`, whoever died, and nothing is touched.
- A published one is where it should be, and its mover stands still behind that, or at the point named, when it is canceled, or
  its source is removed, or the store refuses whatever it is asked for until somebody has asked; then somebody dies. What was
  published is COMPLETE, as long as anything tells: of a small import only its object does. One that is taken away, by whoever
  waited for it, is COMPLETE all the same, or is moved once more, all of it, and is there again. One that is overwritten is
  COMPLETE, and what somebody has written there stays, under each policy. One whose name is not durable when its mover dies is
  COMPLETE, too, and not before somebody has synced a directory since then.
- The letter says under which conflict policy, and on which kind of bucket:
{TOLD}.
  Under KEEP_LATEST an older file is replaced. Deaths are dealt out to these in turn; around publishing each is tried.
- **service**: the control process dies, at a point of its own, and its movers end. **mover**: a mover dies alone, the
  service goes on. **both**: a mover dies and takes the control process along. (A power cut takes unsynced bytes, too:
  that is in [reliability.md](reliability.md).)
- A cell says how the sub-task ended, and what was moved again: nothing, or so many parts (one that was begun counts as
  one), or of a small or middling file its only request. Never more than {PARTS_IN_FLIGHT} parts: those in flight, which differ
  a little from run to run (but for what was taken away). That holds however the sub-task ended. "Last" is the last time that the
  point is passed where nobody dies. Where it was passed less often that time, and again when it was tried anew, the cell shows a
  death at the last passing that there was, and says at which; it is empty where no death was to be tried.

`penstock/failpoints.py` says what each name means."""

_HEADING = "\n## "
_SAME = re.compile(r"^All tables are of one commit: `([^`]+)`\.$", re.MULTILINE)
_OWN = re.compile(r"^Of commit `([^`]+)`\.\n+")
_UNKNOWN = "not noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Its lines, and the commit that it is of."""

    commit: str
    lines: str


def page(tables: Mapping[Way, Table]) -> str:
    """All of it. The commit is said once where all tables are of the same, else for each."""
    commits = {table.commit for table in tables.values()}
    if len(commits) == 1:
        text = f"{HEAD}\n\nAll tables are of one commit: `{commits.pop()}`.\n"
        said = dict.fromkeys(tables, "")
    else:
        text = f"{HEAD}\n\nThe tables are not all of the same commit: each says of which it is.\n"
        said = {way: f"Of commit `{table.commit}`.\n\n" for way, table in tables.items()}
    sections = [f"{_HEADING}{way.capitalize()}\n\n{said[way]}{tables[way].lines}\n" for way in Way if way in tables]
    return text + "".join(sections)


def tables_of(text: str) -> dict[Way, Table]:
    """The tables of a page; those of kinds of files that are no more are left out."""
    head, *sections = text.split(_HEADING)
    same = _SAME.search(head)
    found = dict(section.split("\n", 1) for section in sections)
    tables = {}
    for way in Way:
        lines = found.get(way.capitalize(), "").strip("\n")
        own = _OWN.match(lines)
        if lines:
            commit = own[1] if own else same[1] if same else _UNKNOWN
            tables[way] = Table(commit=commit, lines=lines[own.end() :] if own else lines)
    return tables


def put(file: Path, way: Way, table: Table) -> None:
    """Have this table in the page from now on. At any moment the file is one page or the other."""
    kept = tables_of(file.read_text()) if file.exists() else {}
    made = file.with_name(f"{file.name}.made")
    made.write_text(page(kept | {way: table}))
    os.replace(made, file)
