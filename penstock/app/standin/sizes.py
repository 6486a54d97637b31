"""How long a file is that is to be slow: asked of its source, in a thread. What cannot be told is 0, and then it is not slow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from penstock.errors import PenstockError
from penstock.model import Bucket, Direction, Registry
from penstock.stores.base import Store
from penstock.transfer.transfer import Transfer


class Sizes:
    """Asked for one file at a time."""

    def __init__(self, registry: Callable[[], Registry], open_bucket: Callable[[Bucket], Store]) -> None:
        self._registry = registry
        self._open_bucket = open_bucket

    async def __call__(self, transfer: Transfer) -> int:
        """In bytes."""
        return await asyncio.to_thread(self._size, transfer)

    def _size(self, transfer: Transfer) -> int:
        try:
            if transfer.direction is Direction.EXPORT:
                root = self._registry().file_systems[transfer.file_system_id].root
                return os.stat(os.path.join(root, transfer.path)).st_size
            store = self._open_bucket(self._registry().buckets[transfer.bucket])
            try:
                return store.head(transfer.key).size_bytes
            finally:
                store.close()
        except (OSError, KeyError, PenstockError):
            return 0
