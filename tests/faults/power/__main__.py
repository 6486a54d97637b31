"""`make power-cuts`: record every way, and go on after each power cut that the record allows.

python -m tests.faults.power                         all of it
python -m tests.faults.power again DIRECTORY STATE   one state of a recording that was kept
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.power import strace
from tests.faults.power.recording import Recording, Way, record
from tests.faults.power.recovery import Recoverer, recoverer
from tests.faults.power.rules import complaints


async def every(recording: Recording, path: Path) -> tuple[Counter[str], list[str]]:
    """Go on after each of them: how many there were of each sort, and what was wrong."""
    tried: Counter[str] = Counter()
    wrong: list[str] = []
    async with recoverer(recording, path) as made:
        for state in recording.states().every():
            tried["states"] += 1
            for overtaken in (False, True) if recording.facts.way is Way.IMPORT_LARGE else (False,):
                try:
                    tried["overtaken"] += await made.run(state, overtaken=overtaken)
                except (AssertionError, TimeoutError) as error:
                    wrong.append(f"{error}\n{made.explain(state)}")
                    print(wrong[-1], flush=True)
    return tried, wrong


async def again(recording: Recording, name: str, path: Path) -> None:
    """One of them."""
    state = recording.states().named(name)
    async with recoverer(recording, path) as made:
        print(Recoverer.explain(made, state))
        for overtaken in (False, True):
            await made.run(state, overtaken=overtaken)


def main(arguments: list[str]) -> int:
    """All, or one."""
    if strace.trouble():
        print(strace.trouble(), file=sys.stderr)
        return 1
    place = Path(tempfile.mkdtemp(prefix="power-cuts-", dir="/var/tmp"))  # not in memory: that knows no direct I/O
    if arguments[:1] == ["again"]:
        asyncio.run(again(Recording(Path(arguments[1])), arguments[2], place / "disk"))
        print(f"the disk as it was left: {place}")
        return 0
    is_wrong = all_of([Way(word) for word in arguments] or list(Way), place)
    if not is_wrong:
        shutil.rmtree(place)
    return int(is_wrong)


def all_of(ways: Sequence[Way], place: Path) -> bool:
    """Whether anything was wrong."""
    is_wrong = False
    for way in ways:
        (place / way).mkdir()
        begun = time.monotonic()
        recording = record(way, place / way)
        tried, wrong = asyncio.run(every(recording, place / f"{way}-disk"))
        broken = complaints(recording.operations, recording.facts)
        print("\n".join(broken), end="\n" if broken else "", flush=True)
        is_wrong |= bool(wrong or broken)
        print(f"{way}: {tried['states']} disks, {tried['overtaken']} of them changed by others too, {len(wrong)} wrong,"
              f" {time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
    return is_wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
