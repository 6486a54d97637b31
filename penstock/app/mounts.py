"""What looks at roots have found, for people to see: of this process's own watch and of the one over roots that may hang.

Told by the watches, from any thread; asks no file system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.engine.soundness import NO_ANSWER, MountTrouble

HANGS_S = 10.0
"""A look that lasts so long does not come back as long as the file system is as it is."""


class Looks:
    """The last look at each root, and one that has begun and has not ended."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._found: dict[str, MountTrouble] = {}
        self._began_s: dict[str, float] = {}

    def note(self, file_system_id: str, found: MountTrouble | None) -> None:
        """A look begins (None), or has found this."""
        if found is None:
            self._began_s[file_system_id] = self._clock_s()
            return
        self._found[file_system_id] = found
        self._began_s.pop(file_system_id, None)

    def troubles(self) -> Mapping[str, MountTrouble]:
        """What is wrong with each root that was looked at; an empty code: nothing is."""
        now_s = self._clock_s()
        found = dict(self._found)
        for name, began_s in dict(self._began_s).items():
            if now_s - began_s >= HANGS_S:
                words = (
                    f"a look at its root has not come back for {now_s - began_s:.0f} s: the file system does not answer"
                )
                found[name] = MountTrouble(code=NO_ANSWER, message=words)
        return found
