"""A bucket and a catalog's record that outlive every mover: movers in children reach them over a socket."""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from penstock import errors
from penstock.stores.base import Abilities, Buffer, ObjectStream, StoreOptions
from penstock.transfer.transfer import Checkpoint
from tests.faults.transfer.killer import Killer
from tests.fixtures.memorystore import MEMORY_LIMITS, MemoryStarted, MemoryStore

KEY = "in/data.bin"


class RemoteStore:
    """A store over a socket. Steps: before a request is sent, and after it took effect but before its answer is seen."""

    limits = MEMORY_LIMITS
    bucket = "memory"
    is_warm = True
    options = StoreOptions()

    def __init__(self, link: socket.socket, abilities: Abilities, killer: Killer) -> None:
        self.abilities = abilities
        self._link = link
        self._killer = killer

    def ask(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        self.begin(verb, *args, **kwargs)
        return self.end()

    def begin(self, verb: str, *args: Any, **kwargs: Any) -> None:
        self._killer.step()
        send(self._link, (verb, args, kwargs))

    def end(self) -> Any:
        answer = receive(self._link)
        self._killer.step()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin_put(self, key: str, body: Sequence[Buffer], **rest: Any) -> MemoryStarted[Any]:
        self.begin("put", key, [bytes(piece) for piece in body], **rest)
        return MemoryStarted(self.end, lambda: None)

    def heeding(self, stops: Callable[[], bool], forsakes: Callable[[], bool] | None = None) -> RemoteStore:
        return self

    def put(self, key: str, body: Iterable[Buffer], **rest: Any) -> Any:
        return self.ask("put", key, [bytes(piece) for piece in body], **rest)

    def put_part(self, key: str, upload_id: str, number: int, body: Iterable[Buffer], **rest: Any) -> Any:
        return self.ask("put_part", key, upload_id, number, [bytes(piece) for piece in body], **rest)

    def list_parts(self, key: str, upload_id: str) -> Any:
        return iter(self.ask("list_parts", key, upload_id))

    def list_uploads(self, *, prefix: str) -> Any:
        return iter(self.ask("list_uploads", prefix=prefix))

    def list_versions(self, *, prefix: str) -> Any:
        return iter(self.ask("list_versions", prefix=prefix))

    def get(self, *args: Any, **kwargs: Any) -> AbstractContextManager[ObjectStream]:
        raise AssertionError("an export reads no object")

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.ask(verb, *args, **kwargs)


@dataclass(slots=True)
class Shore:
    """The bucket and the catalog's record, which outlive every mover."""

    store: MemoryStore
    record: Checkpoint | None = None

    def content(self) -> bytes | None:
        """The object's bytes; None if there is none."""
        there = self.store.keys()
        return self.store.content(KEY) if KEY in there else None

    def serve(self, link: socket.socket) -> None:
        """Answer until the mover is gone."""
        while (asked := receive(link)) is not None:
            verb, args, kwargs = asked
            try:
                send(link, self._answer(verb, args, kwargs))
            except OSError:
                return

    def _answer(self, verb: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if verb == "checkpoint":
            self.record = args[0]
            return True
        try:
            answer = getattr(self.store, verb)(*args, **kwargs)
            return list(answer) if verb.startswith("list_") else answer
        except errors.StoreError as error:
            return error


def send(link: socket.socket, message: object) -> None:
    content = pickle.dumps(message)
    link.sendall(struct.pack("!I", len(content)) + content)


def receive(link: socket.socket) -> Any:
    """The next message; None when the other end is gone."""
    head = read_exactly(link, 4)
    content = head and read_exactly(link, struct.unpack("!I", head)[0])
    return pickle.loads(content) if content else None


def read_exactly(link: socket.socket, count: int) -> bytes | None:
    content = b""
    while len(content) < count:
        try:
            piece = link.recv(count - len(content))
        except ConnectionError:
            return None
        if not piece:
            return None
        content += piece
    return content
