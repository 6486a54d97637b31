"""One fsync of a directory for all who wait for one: publishing many small files into it costs a fraction of a sync each.

A sync covers what was done before it began. So whoever comes while one is running waits for the next, together with everybody
else who comes meanwhile; one of them does it. Calls the kernel only. Safe from several threads.
"""

from __future__ import annotations

import errno
import os
import threading

from penstock import failpoints
from penstock.transfer.directories import Node


class _Group:
    """Those who wait for one directory."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.users = 0  # guarded by the owner's lock
        self.begun = 0
        self.ended = 0
        self.failures: dict[int, OSError] = {}


class SharedSync:
    """Directory syncs of one process, shared by directory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[Node, _Group] = {}

    def sync(self, descriptor: int) -> None:
        """Return when the directory is on stable storage as it was when this was called.

        Raises OSError, to everybody whose changes the failed sync covered.
        """
        found = os.fstat(descriptor)
        self.enroll(descriptor, (found.st_dev, found.st_ino)).wait()

    def enroll(self, descriptor: int, identity: Node) -> Enrolled:
        """Ask for a sync of the directory as it is now; then either `wait` for it or `drop` it.

        The descriptor, which has this device and inode, has to stay open until then.
        """
        with self._lock:
            group = self._groups.setdefault(identity, _Group())
            group.users += 1
            return Enrolled(self, identity, group, descriptor)

    def leave(self, identity: Node, group: _Group) -> None:
        """For `Enrolled` only."""
        with self._lock:
            group.users -= 1
            if group.users == 0:
                del self._groups[identity]


class Enrolled:
    """One who waits, or will wait, for a directory's sync: any that began after it enrolled will do."""

    __slots__ = ("_descriptor", "_group", "_identity", "_syncs", "_wanted")

    def __init__(self, syncs: SharedSync, identity: Node, group: _Group, descriptor: int) -> None:
        self._syncs = syncs
        self._identity = identity
        self._group = group
        self._descriptor = descriptor
        # Unlocked: a sync that begins right before or after this look begins after what it is to cover, either way.
        self._wanted = group.begun + 1

    def drop(self) -> None:
        """Not needed any more."""
        self._syncs.leave(self._identity, self._group)

    def wait(self) -> None:
        """Return when that sync has ended; does it, if nobody else has yet. Raises OSError."""
        try:
            self._wait()
        finally:
            self._syncs.leave(self._identity, self._group)

    def _wait(self) -> None:
        group, wanted = self._group, self._wanted
        with group.changed:
            while group.ended < wanted:
                if group.begun > group.ended:  # one is running, and it began too early for us
                    group.changed.wait()
                    continue
                group.begun += 1
                group.changed.release()
                failure: OSError | None = OSError(errno.EINTR, "the sync was interrupted")
                try:
                    sync_directory(self._descriptor)
                    failure = None
                except OSError as error:
                    failure = error
                finally:
                    group.changed.acquire()
                    group.ended = group.begun
                    if failure is not None:
                        group.failures[group.ended] = failure
                    group.changed.notify_all()
            failed = group.failures.get(wanted)
        if failed is not None:
            raise OSError(failed.errno, failed.strerror) from failed


def sync_directory(descriptor: int) -> None:
    """fsync a directory; file systems that know no such thing (EINVAL) keep names durable by other means."""
    failpoints.passing("directory.sync")
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    failpoints.passing("directory.synced")
