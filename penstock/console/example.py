"""The example that Learn moves: a directory of a file system, and an object of an embedded bucket. Blocking.

Goes beneath the registered root only, and puts one object of our own making. Touches nothing that a person has made.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from fastcrc import crc64

from penstock.errors import TransferError
from penstock.model import Bucket, FileSystem
from penstock.stores.base import Overwrite, Store
from penstock.transfer.root import Root

DIRECTORY = "/learn/"
FILE = "/hello.txt"
KEY = "learn/hello.txt"
LINES = 200_000


def example() -> bytes:
    """The same bytes each time: some megabytes, so that there is something to move."""
    return b"".join(b"line %06d of the first file that moved here\n" % number for number in range(1, LINES + 1))


def example_checksum() -> str:
    """As the API tells a checksum."""
    return f"crc64:{crc64.xz(example())}"


def make_directory(file_system: FileSystem) -> str:
    """Why the example's directory is not there and could not be made; empty when it is."""
    try:
        root = Root.open(file_system)
    except TransferError as error:
        return f"{error}"
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(DIRECTORY.strip("/"), 0o755, dir_fd=root.descriptor)
        root.require_base(DIRECTORY.strip("/"))
    except TransferError as error:
        return f"{error}"
    except OSError as error:
        return f"{file_system.root}{DIRECTORY} cannot be made: {error.strerror}."
    finally:
        root.close()
    return ""


def put_object(bucket: Bucket, open_bucket: Callable[[Bucket], Store]) -> None:
    """Puts the example into the bucket. Raises StoreError, SettingsError."""
    data = example()
    store = open_bucket(bucket)
    try:
        store.put(KEY, [data], crc64=crc64.xz(data), metadata={}, precondition=Overwrite())
    finally:
        store.close()
