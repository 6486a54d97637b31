"""The watch over the roots of a running service: says when one is not usable and when it is again, and keeps them marked.

A root that was registered without a mark gets one once it is seen to be the right one; a mark that somebody removes under a
running service is put back into the very directory that carried it; and what the mount table tells is kept up to date.
Runs in a thread of its own; roots that may hang are looked at by a process of its own (`farroots`), because one with a thread
that hangs in a dead mount cannot end. No transfer depends on it: movers check roots themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from penstock import telemetry
from penstock.app.recognising import on
from penstock.engine.soundness import MountTrouble
from penstock.errors import SettingsError, TransferError
from penstock.model import FileSystem, Registry
from penstock.settings.editing import record_root
from penstock.settings.home import Home
from penstock.transfer.mark import MARK_FILE, UNREADABLE, make_mark, new_mark, read_mark
from penstock.transfer.root import Root

LOOK_S = 5.0


class RootWatch:
    """`step` looks at every root once. `start` has that done every few seconds, until `stop`."""

    def __init__(
        self,
        home: Home,
        *,
        registry: Callable[[], Registry],
        entropy: Callable[[int], bytes],
        is_mine: Callable[[FileSystem], bool] = lambda _: True,
        note: Callable[[str, MountTrouble | None], None] = lambda _name, _found: None,
    ) -> None:
        """Looks at those roots only that are its own; `note` is told when a look begins (None), and what it has found."""
        self._home = home
        self._registry = registry
        self._is_mine = is_mine
        self._note = note
        self._entropy = entropy
        self._roots: dict[str, Root] = {}
        self._told: dict[str, str] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Look at once, and then again and again."""
        threading.Thread(target=self.run, name="root-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more. Does not wait: the thread may hang in the file system."""
        self._stopping.set()

    def step(self) -> None:
        """One look at every root."""
        known = self._registry().file_systems
        file_systems = {name: file_system for name, file_system in known.items() if self._is_mine(file_system)}
        for gone in self._roots.keys() - file_systems.keys():
            self._roots.pop(gone).close()
        for file_system in file_systems.values():
            found = MountTrouble()
            self._note(file_system.file_system_id, None)
            try:
                self._look(file_system)
            except TransferError as error:
                found = MountTrouble(code=error.code, message=str(error))
                self._let_go(file_system.file_system_id)
                self._tell("root.unavailable", file_system, error)
            except OSError as error:
                self._tell("root.not_marked", file_system, error)
            except SettingsError as error:
                self._tell("root.not_recorded", file_system, error)
            self._note(file_system.file_system_id, found)

    def close(self) -> None:
        """Let go of the roots; for whoever called `step` himself."""
        for file_system_id in list(self._roots):
            self._let_go(file_system_id)

    def run(self) -> None:
        """Look again and again, until `stop`."""
        while not self._stopping.is_set():
            self.step()
            self._stopping.wait(LOOK_S)

    def _look(self, file_system: FileSystem) -> None:
        """Raises TransferError when the root is not usable, SettingsError and OSError when it cannot be marked or recorded."""
        root = self._checked(file_system)
        if self._told.get(file_system.file_system_id, "").startswith("root.unavailable"):
            telemetry.event("root.available", file_system=file_system.file_system_id, root=file_system.root)
            del self._told[file_system.file_system_id]
        mark = file_system.mark or self._mark_of(root)
        if file_system.mark and not read_mark(
            root.descriptor
        ):  # `check` has just seen that it is the directory that had it
            make_mark(root.descriptor, mark)
            telemetry.event("root.marked_again", file_system=file_system.file_system_id, root=file_system.root)
        seen = replace(on(file_system, root.mount), mark=mark)
        if seen != file_system:
            record_root(self._home, file_system, seen)
            telemetry.event(
                "root.recorded",
                file_system=file_system.file_system_id,
                root=file_system.root,
                mount_type=seen.mount_type,
                mount_source=seen.mount_source,
                mount_point=seen.mount_point,
            )

    def _mark_of(self, root: Root) -> str:
        mark = make_mark(root.descriptor, new_mark(self._entropy))
        if mark == UNREADABLE:
            raise SettingsError(f"{root.file_system.root}/{MARK_FILE} is not as Penstock writes it; remove it")
        return mark

    def _checked(self, file_system: FileSystem) -> Root:
        """Raises TransferError."""
        name = file_system.file_system_id
        root = self._roots.get(name)
        if root is None or root.file_system != file_system:
            fresh = Root.open(file_system)
            self._let_go(name)
            root = self._roots[name] = fresh
        root.check()
        return root

    def _let_go(self, file_system_id: str) -> None:
        root = self._roots.pop(file_system_id, None)
        if root is not None:
            root.close()

    def _tell(self, event: str, file_system: FileSystem, error: Exception) -> None:
        """Each trouble once, until it is another one."""
        words = f"{event} {error}"
        if self._told.get(file_system.file_system_id) != words:
            self._told[file_system.file_system_id] = words
            telemetry.failure(event, error, file_system=file_system.file_system_id)
