"""One request as the bytes that are sent: its head, and the views of its body, which is never copied.

Pure, save that a streamed body runs its own code. Never sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from penstock.errors import IntegrityError, StoreRefusedError
from penstock.stores.base import Buffer, StreamedBody

Body = Sequence[Buffer] | StreamedBody


class BodyError(Exception):
    """The body could not be read on; its cause is what its own code raised, which may look like trouble of the network."""


def length_of(body: Body) -> int:
    """How many bytes will be sent."""
    if isinstance(body, list | tuple):  # nearly always; asking for Sequence takes its time
        return sum([memoryview(part).nbytes for part in body]) if body else 0
    if isinstance(body, Sequence):
        return sum(memoryview(part).nbytes for part in body)
    return body.length_bytes


def batches(head: bytes, body: Body) -> Iterable[list[memoryview]]:
    """The whole message: what is in memory at once, what is streamed piece by piece."""
    if not isinstance(body, Sequence):
        return _streamed(head, body)
    views = [memoryview(head)]
    for part in body:
        view = memoryview(part).cast("B")
        if view:
            views.append(view)
    return (views,)


def _streamed(head: bytes, body: StreamedBody) -> Iterator[list[memoryview]]:
    yield [memoryview(head)]
    left = body.length_bytes
    for piece in _pieces(body):
        left -= len(piece)
        if left < 0:
            break
        if len(piece):
            yield [piece]
    if left:
        raise IntegrityError(f"the body of {body.length_bytes} bytes gave another number of bytes when it was sent")


def _pieces(body: StreamedBody) -> Iterator[memoryview]:
    """The pieces of a streamed body; what its own code raises is told apart from what the network raises."""
    pieces = iter(body)
    while True:
        try:
            piece = next(pieces)
        except StopIteration:
            return
        except Exception as error:
            raise BodyError from error
        yield piece


def after(views: list[memoryview], sent: int) -> list[memoryview]:
    """What is left of `views` once `sent` bytes of them are gone."""
    for index, view in enumerate(views):
        if sent < len(view):
            return [view[sent:], *views[index + 1 :]]
        sent -= len(view)
    return []


def head_of(method: str, target: str, headers: Mapping[str, str], length: int) -> bytes:
    """The head of a request. Raises StoreRefusedError when a header cannot be sent."""
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
    if length or method in {"PUT", "POST"}:
        lines.append(f"content-length: {length}")
    together = "".join(lines)
    if not (together.isascii() and together.isprintable()):
        raise _unsendable(lines)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _unsendable(lines: list[str]) -> StoreRefusedError:
    """The value may be a secret (a security token with a line break at its end): only its name is told."""
    names = [line.partition(":")[0] for line in lines if not (line.isascii() and line.isprintable())]
    return StoreRefusedError(f"the header {names[0]!r} can only carry printable ASCII characters")
