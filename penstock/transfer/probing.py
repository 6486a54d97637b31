"""What a file system can do, found out by trying it in a root; what was made for that is removed again.

Calls the kernel, through `posix` and `beneath`. Nothing here is looked up while files move: movers try, and do what they can.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from penstock.transfer import beneath, posix
from penstock.transfer.root import Root
from penstock.transfer.stamps import are_whole_seconds

_TRIED_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RootAbilities:
    """What worked. `statx` and `openat2` are this kernel's; `direct_io` is as far as the file system tells.

    `fine_stamps`: time stamps finer than a second.
    """

    rename_no_replace: bool
    hard_links: bool
    directory_fsync: bool
    file_locks: bool
    fallocate: bool
    direct_io: bool
    fine_stamps: bool
    statx: bool
    openat2: bool
    name_max_bytes: int


def probe_root(root: Root) -> RootAbilities:
    """Try it out. Raises OSError where no file can be made, as on a read-only mount or a full disk."""
    directory = root.descriptor
    names = [f".penstock-probe-{os.getpid()}-{letter}".encode() for letter in "abc"]
    _remove(directory, names)
    descriptor = os.open(names[0], os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        return RootAbilities(
            hard_links=_works(lambda: os.link(names[0], names[1], src_dir_fd=directory, dst_dir_fd=directory)),
            rename_no_replace=_works(lambda: posix.rename_without_replacing(directory, names[0], names[2])),
            directory_fsync=_works(lambda: os.fsync(directory)),
            file_locks=_works(lambda: posix.must_lock(descriptor)),
            fallocate=posix.reserve(descriptor, _TRIED_BYTES),
            direct_io=posix.direct_alignment(descriptor) > 0,
            fine_stamps=not are_whole_seconds(posix.look_open(descriptor)),
            statx=posix.has_statx(),
            openat2=beneath.has_openat2(),
            name_max_bytes=os.fpathconf(directory, "PC_NAME_MAX"),
        )
    finally:
        os.close(descriptor)
        _remove(directory, names)


def _remove(directory: int, names: list[bytes]) -> None:
    for name in names:
        posix.unlink_if_there(directory, name)


def _works(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return False
    return True
