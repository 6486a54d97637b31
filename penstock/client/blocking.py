"""`Penstock`: the service for programs that block. One connection; threads may share it, and take turns.

Drives the steps of `finding`, `window` and `requests` with the wire; decides nothing by itself.

    with Penstock("http://127.0.0.1:8680", access_key_id=KEY, access_key_secret=SECRET) as penstock:
        stream = penstock.flow("/train/", "oss://bucket/run-7/").export_stream()
        done = stream.submit("step-100.pt").wait(timeout_s=600)
        print(done.checksum)
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from penstock.client import finding, requests
from penstock.client.bulk import FileToMove, Source, file_of, pages_of
from penstock.client.finding import FlowWish, StreamWish, as_directory, storage_parts
from penstock.client.places import Place, place_from_environment
from penstock.client.signing import Call, ClientOptions, Parameter
from penstock.client.steps import Ground, Pause, Steps, ask, rest
from penstock.client.values import FlowFacts, Refused, StreamFacts, SubTask
from penstock.client.window import IN_FLIGHT_MAX, Moving, Window, refusal_of
from penstock.client.wire import Client
from penstock.model import ConflictPolicy, Direction

Result = TypeVar("Result")
OVERWRITE = ConflictPolicy.OVERWRITE_EXISTING


def _nothing(_: object) -> None:
    """For those who want to be told nothing."""


class Penstock:
    """A service, and one of its file systems."""

    def __init__(
        self,
        endpoint: str,
        *,
        access_key_id: str,
        access_key_secret: str,
        file_system_id: str = "",
        ca_file: str = "",
        timeout_s: float = 30.0,
        silence_max_s: float = 60.0,
        on_wait: Callable[[str], None] = _nothing,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`file_system_id` may be left out where the key sees one file system only.

        A call may take `timeout_s` seconds. One that got no answer is repeated for `silence_max_s` seconds (0: never), without
        doing anything twice; while the service has no places it is repeated as long as that lasts. `on_wait` is told why there
        is a wait, and `sleep` waits. Raises ApiUnreachableError for an endpoint that is no address.
        """
        self._client = Client(
            ClientOptions(
                endpoint=endpoint,
                access_key_id=access_key_id,
                access_key_secret=access_key_secret,
                ca_file=ca_file,
                timeout_s=timeout_s,
            )
        )
        self._lock = threading.Lock()
        self._sleep = sleep
        self._ground = Ground(
            file_system_id=file_system_id,
            silence_max_s=silence_max_s,
            on_wait=on_wait,
            clock=time.monotonic,
            entropy=os.urandom,
        )

    @classmethod
    def of(
        cls,
        options: ClientOptions,
        *,
        file_system_id: str = "",
        silence_max_s: float = 60.0,
        on_wait: Callable[[str], None] = _nothing,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """The service that a `Client` with these options would call."""
        return cls(
            options.endpoint,
            access_key_id=options.access_key_id,
            access_key_secret=options.access_key_secret,
            file_system_id=file_system_id,
            ca_file=options.ca_file,
            timeout_s=options.timeout_s,
            silence_max_s=silence_max_s,
            on_wait=on_wait,
            sleep=sleep,
        )

    @classmethod
    def from_environment(cls, *, on_wait: Callable[[str], None] = _nothing) -> Self:
        """The service that PENSTOCK_ENDPOINT, PENSTOCK_ACCESS_KEY_ID and PENSTOCK_ACCESS_KEY_SECRET name.

        PENSTOCK_FILE_SYSTEM and PENSTOCK_CA_FILE may be there, too. Raises SettingsError for what is missing.
        """
        return cls._at(place_from_environment(os.environ), on_wait)

    @classmethod
    def _at(cls, place: Place, on_wait: Callable[[str], None]) -> Self:
        return cls(
            place.endpoint,
            access_key_id=place.access_key_id,
            access_key_secret=place.access_key_secret,
            file_system_id=place.file_system_id,
            ca_file=place.ca_file,
            on_wait=on_wait,
        )

    @property
    def ground(self) -> Ground:
        """What steps stand on; the file system is looked for at the first need. Raises NotReadyError where it is unclear."""
        if not self._ground.file_system_id:
            found = self.run(requests.only_file_system(self._ground))
            self._ground = dataclasses.replace(self._ground, file_system_id=found)
        return self._ground

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out steps; for what this class has no words for."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._done(step)
                except Exception as error:  # noqa: BLE001  the steps decide what it means
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            steps.close()

    def call(self, action: str, **parameters: Parameter | None) -> Mapping[str, Any]:
        """The API as it is, about this file system: for reads, and for what may be repeated (give a ClientToken)."""
        return self.run(ask(self.ground, action, **parameters))

    def flow(self, path: str, storage: str) -> Flow:
        """The dataflow between the directory `path` of the file system and `storage` (`oss://bucket/prefix/`): found, or made.

        Safe to call again: whoever asks for the same gets the same. Raises ValueError for a storage that is none,
        ApiRefusedError, ApiUnreachableError, and NotReadyError where it is stopped or misconfigured.
        """
        bucket, prefix = storage_parts(storage)
        wish = FlowWish(path=as_directory(path), storage=bucket, prefix=prefix)
        return Flow(self, self.run(finding.make_flow(self.ground, wish)))

    def flows(self) -> Sequence[FlowFacts]:
        """The dataflows of the file system, newest first."""
        return self.run(finding.flows(self.ground))

    def stream(self, task_id: str, *, in_flight_max: int = IN_FLIGHT_MAX) -> Stream:
        """An open stream by its id. Raises NotReadyError where there is none."""
        return Stream(self, self.run(finding.stream_of(self.ground, task_id)), in_flight_max)

    def sub_task(self, sub_task_id: str) -> SubTask:
        """What is known of a sub-task, whoever made it. Raises SubTaskGoneError."""
        return self.run(requests.sub_task(self.ground, sub_task_id))

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        with self._lock:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _done(self, step: Call | Pause) -> Mapping[str, Any]:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return {}
        with self._lock:
            return self._client.call(step.action, step.parameters, form=step.form)


class Flow:
    """A dataflow that is Running. `facts` are what it binds."""

    def __init__(self, penstock: Penstock, facts: FlowFacts) -> None:
        self._penstock = penstock
        self.facts = facts

    def import_stream(
        self,
        directory: str = "/",
        *,
        target_directory: str | None = None,
        policy: ConflictPolicy = OVERWRITE,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> Stream:
        """A stream from the bucket to the file system: found, or made.

        Sources lie beneath `directory` of the dataflow's prefix, targets beneath `target_directory` (the same where not given)
        of its directory. `policy` decides where a target exists. At most `in_flight_max` files are under way at once.
        """
        return self._stream(Direction.IMPORT, directory, target_directory, policy, in_flight_max)

    def export_stream(
        self,
        directory: str = "/",
        *,
        target_directory: str | None = None,
        policy: ConflictPolicy = OVERWRITE,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> Stream:
        """A stream from the file system to the bucket: found, or made. As `import_stream`, the other way."""
        return self._stream(Direction.EXPORT, directory, target_directory, policy, in_flight_max)

    def _stream(
        self, direction: Direction, directory: str, target: str | None, policy: ConflictPolicy, in_flight_max: int
    ) -> Stream:
        wish = StreamWish(
            flow_id=self.facts.flow_id,
            direction=direction,
            directory=as_directory(directory),
            target_directory=as_directory(directory if target is None else target),
            policy=policy,
        )
        facts = self._penstock.run(finding.make_stream(self._penstock.ground, wish))
        return Stream(self._penstock, facts, in_flight_max)


class Stream:
    """An open stream, and what was submitted to it here. One thread at a time.

    As a context manager it waits at the end until all that was submitted is final, and raises NotMovedError if a file failed
    that nobody waited for or took; after an exception it does not wait, and files go on moving.
    """

    def __init__(self, penstock: Penstock, facts: StreamFacts, in_flight_max: int) -> None:
        self._penstock = penstock
        self.facts = facts
        self.window = Window(penstock.ground, facts, in_flight_max=in_flight_max)

    def submit(
        self,
        source: Source,
        target: Source | None = None,
        *,
        size_bytes: int | None = None,
        modify_time_ns: int | None = None,
        client_token: str | None = None,
    ) -> Submission:
        """Have `source` moved (to `target`: the same name where not given); both relative to the stream's directories.

        Durable once this returns. With `size_bytes` or `modify_time_ns` (since 1970) it is only moved if the source is so. Waits
        while the service has no places or `in_flight_max` files are under way. A retry after a lost answer makes no second
        sub-task; nor does another program with the same `client_token` (1 to 64 ASCII characters, for 30 days).
        Raises FileRefusedError, ApiRefusedError, ApiUnreachableError.
        """
        file = file_of(source, target, size_bytes=size_bytes, modify_time_ns=modify_time_ns)
        (came,) = self._penstock.run(self.window.hand_over([file], client_token=client_token))
        if isinstance(came, Refused):
            raise refusal_of(came)
        return Submission(self._penstock, self, came)

    def submit_many(self, files: Iterable[FileToMove | Source]) -> Iterator[Submission | Refused]:
        """Have all of these moved, up to a thousand in a call, while they are read; what became of each, in order.

        Waits as `submit` does, so memory does not grow with their number, if what is yielded is not kept.
        """
        for page in pages_of(files, self.window.most):
            for came in self._penstock.run(self.window.hand_over(page)):
                yield came if isinstance(came, Refused) else Submission(self._penstock, self, came)

    def finished(self) -> Iterator[SubTask]:
        """What was submitted here and is final, in the order of ending; ends when nothing is under way any more."""
        self.window.takers += 1
        try:
            looks = 0
            while True:
                done = self.window.taken()
                if done is not None:
                    looks = 0
                    yield done
                elif self.window.under_way:
                    self._look(looks)
                    looks += 1
                else:
                    return
        finally:
            self.window.takers -= 1

    def move(self, files: Iterable[FileToMove | Source]) -> Iterator[SubTask | Refused]:
        """Have all of these moved, and yield each when it is final, or refused. Memory does not grow with their number."""
        for page in pages_of(files, self.window.most):
            looks = 0
            while self.window.room < len(page):
                done = self.window.taken()
                if done is not None:
                    yield done
                else:
                    self._look(looks)
                    looks += 1
            for came in self._penstock.run(self.window.submit(page)):
                if isinstance(came, Refused):
                    yield came
        yield from self.finished()

    def wait(self) -> None:
        """Returns when all that was submitted here is final. Raises NotMovedError if one failed that nobody took."""
        self._penstock.run(self.window.settle())

    def withdraw(self) -> None:
        """Ask to withdraw all that was submitted here and is under way; `wait` and `finished` tell what came of that."""
        self._penstock.run(requests.withdraw(self._penstock.ground, self.window))

    def cancel(self) -> None:
        """Close the stream for good, for everybody. Raises ApiRefusedError while sub-tasks of it are live."""
        facts = self.facts
        self._penstock.run(requests.cancel_stream(self._penstock.ground, facts.flow_id, facts.task_id))

    def look(self) -> None:
        """See what became of those under way, once: `window` tells."""
        self._penstock.run(self.window.look())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait()

    def _look(self, looks: int) -> None:
        """A look; where it finds nothing that ended, a pause."""
        self.look()
        if not self.window.ended and self.window.under_way:
            self._penstock.run(rest(looks))


class Submission:
    """A file that was accepted. `sub_task_id` is its id; `latest` is what was last seen of it, None before the first look."""

    def __init__(self, penstock: Penstock, stream: Stream, moving: Moving) -> None:
        self._penstock = penstock
        self._stream = stream
        self._moving = moving
        self.sub_task_id = moving.sub_task_id
        self.file = moving.file

    @property
    def latest(self) -> SubTask | None:
        """What was last seen of it."""
        return self._moving.latest

    def wait(self, timeout_s: float | None = None, on_progress: Callable[[SubTask], None] = _nothing) -> SubTask:
        """The sub-task, once it is COMPLETE; without `timeout_s` seconds, as long as that takes.

        `on_progress` is told what is seen meanwhile: bytes, speed, and why it waits. Raises NotMovedError where it ended
        otherwise (`latest` tells how), WaitOverError (a TimeoutError), SubTaskGoneError, ApiUnreachableError.
        """
        window, moving = self._stream.window, self._moving
        return self._penstock.run(
            requests.wait_for(self._penstock.ground, window, moving, timeout_s=timeout_s, on_progress=on_progress)
        )

    def cancel(self) -> None:
        """Ask to withdraw it; nothing of it is left then. `wait` tells what came of that. Does nothing if it has ended."""
        facts, sub_task_id = self._stream.facts, self.sub_task_id
        self._penstock.run(requests.cancel_sub_task(self._penstock.ground, facts.flow_id, facts.task_id, sub_task_id))
