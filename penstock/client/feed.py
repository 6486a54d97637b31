"""Files for an asynchronous stream, from any iterator: read ahead of their being handed over, by a bounded number.

What comes from an asynchronous iterator is read by a task of its own, so that slow sources hold up nobody who waits for files
that move already. Sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from itertools import islice

from penstock.client.bulk import BULK_FILES_MAX, FileToMove, Source, bulk_pages, file_of

Files = Iterable[FileToMove | Source] | AsyncIterable[FileToMove | Source]


class Feed:
    """Hands out files in pages, in order. Close it in the end."""

    def __init__(self, files: Files) -> None:
        self._plain: Iterator[FileToMove | Source] | None = None
        self._left: list[FileToMove] = []
        self._came: asyncio.Queue[FileToMove] = asyncio.Queue(BULK_FILES_MAX)
        self._reader: asyncio.Task[None] | None = None
        if isinstance(files, AsyncIterable):
            self._reader = asyncio.get_running_loop().create_task(self._read(files))
        else:
            self._plain = iter(files)

    @property
    def is_over(self) -> bool:
        """Whether no more files come. Raises what the asynchronous iterator raised."""
        if self._left or not self._came.empty():
            return False
        if self._reader is None:
            return self._plain is None
        if self._reader.done():
            self._reader.result()
            return True
        return False

    def ready(self, most: int) -> list[FileToMove]:
        """The next page of what is there by now, of at most so many files; empty where nothing is."""
        wanted = min(most, BULK_FILES_MAX) - len(self._left)
        if wanted > 0:
            self._left += self._at_hand(wanted)
        page = next(bulk_pages(self._left, most=max(1, most)), []) if most > 0 else []
        self._left = self._left[len(page) :]
        return page

    async def some(self) -> None:
        """Returns once something is there, or nothing more comes."""
        if self._reader is None or self._left or not self._came.empty():
            return
        waiting = asyncio.ensure_future(self._came.get())
        try:
            await asyncio.wait({waiting, self._reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # whoever waits may be cancelled, and leaves no task behind
            if waiting.done():
                self._left.append(waiting.result())
            else:
                waiting.cancel()

    async def pages(self, most: int) -> AsyncGenerator[list[FileToMove], None]:
        """All of them, page by page."""
        try:
            while not self.is_over:
                if page := self.ready(most):
                    yield page
                else:
                    await self.some()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Reads no more."""
        if self._reader is not None and not self._reader.done():
            self._reader.cancel()
            await asyncio.wait({self._reader})

    def _at_hand(self, wanted: int) -> list[FileToMove]:
        found: list[FileToMove] = []
        if self._plain is not None:
            found = [_file(each) for each in islice(self._plain, wanted)]
            if len(found) < wanted:
                self._plain = None
        while len(found) < wanted and not self._came.empty():
            found.append(self._came.get_nowait())
        return found

    async def _read(self, files: AsyncIterable[FileToMove | Source]) -> None:
        async for each in files:
            await self._came.put(_file(each))


def _file(each: FileToMove | Source) -> FileToMove:
    return each if isinstance(each, FileToMove) else file_of(each)
