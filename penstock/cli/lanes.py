"""Which dataflow and which stream carry an item: found among those that there are, else made, and said.

Reads and makes through the client's steps; moves nothing. A command has few lanes: one for each directory that was named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.cli.items import Item
from penstock.client import ConflictPolicy, Direction, FileToMove, Flow, FlowFacts, Penstock, Stream, StreamFacts
from penstock.client.finding import StreamWish, find_stream
from penstock.errors import ApiRefusedError, NotReadyError, SettingsError

TOO_MANY = "OperationDenied.DependencyViolation"
"""What the service says where a file system has all the dataflows that it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a person asked for. `to` is the other side's directory: (storage, directory), storage "" for the file system."""

    direction: Direction
    policy: ConflictPolicy
    to: tuple[str, str] | None = None
    flow_id: str = ""
    task_id: str = ""
    make_directory: Callable[[str], None] = lambda _: None  # of the file system, where a dataflow is to be bound to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How items of one base go: by which dataflow, between which directories of it, with `cut` off the front of their paths."""

    flow: FlowFacts | None
    binds: tuple[str, str, str]
    directory: str
    target_directory: str
    cut: str

    def file(self, item: Item) -> FileToMove:
        """The item as the stream is told it."""
        name = item.path[len(self.cut) :]
        return FileToMove(source=name, target=name)


class Lanes:
    """The ways that were found so far, each with its stream. `say` is told what was chosen or made."""

    def __init__(self, penstock: Penstock, choice: Choice, *, in_flight_max: int, say: Callable[[str], None]) -> None:
        self._penstock = penstock
        self._choice = choice
        self._in_flight_max = in_flight_max
        self._say = say
        self._flows: Sequence[FlowFacts] | None = None
        self._task: StreamFacts | None = None
        self._ways: dict[tuple[str, str], Way] = {}
        self._streams: dict[tuple[str, str, str], Stream] = {}

    @property
    def streams(self) -> Sequence[Stream]:
        """Those that were opened."""
        return list(self._streams.values())

    def way(self, item: Item) -> Way:
        """Raises SettingsError, NotReadyError where nothing fits, or too much."""
        base = (item.storage, item.base)
        if base not in self._ways:
            self._ways[base] = self._found(item)
        return self._ways[base]

    def stream(self, way: Way) -> Stream:
        """The stream of a way, found or made. Raises what the client raises."""
        told = (way.binds[0] + way.binds[1] + way.binds[2], way.directory, way.target_directory)
        if told not in self._streams:
            self._streams[told] = self._opened(way)
        return self._streams[told]

    def foreseen(self, way: Way) -> str:
        """What `stream` would use, or make, in words. Changes nothing."""
        if way.flow is None:
            return f"a new dataflow between {way.binds[0]} and {way.binds[1]}{way.binds[2]}, with a new stream"
        if self._task is not None:
            return f"dataflow {way.flow.flow_id} ({way.flow.path} and {way.flow.there}), stream {self._task.task_id}"
        ground = self._penstock.ground
        found = self._penstock.run(find_stream(ground, self._wish(way, way.flow.flow_id)))
        stream = f"stream {found.task_id}" if found is not None else "a new stream"
        return f"dataflow {way.flow.flow_id} ({way.flow.path} and {way.flow.there}), {stream}"

    # ------------------------------------------------------------------------------------------------------------- choose

    def _found(self, item: Item) -> Way:
        if self._choice.task_id:
            return self._by_task(item)
        fitting = [flow for flow in self._known() if self._fits(flow, item)]
        if self._choice.flow_id and not fitting:
            raise SettingsError(self._misfit(item))
        if not fitting:
            return self._made(item)
        best = max(fitting, key=lambda flow: len(flow.path) + len(flow.prefix))
        rivals = [flow for flow in fitting if (len(flow.path), len(flow.prefix)) == (len(best.path), len(best.prefix))]
        if len(rivals) > 1 and self._choice.to is None:
            listed = ", ".join(f"{flow.flow_id} ({flow.path} and {flow.there})" for flow in rivals)
            raise SettingsError(
                f"several dataflows fit {item.path}: choose one with --flow ID, or say --to; there are {listed}"
            )
        return self._way(rivals[-1], item)

    def _known(self) -> Sequence[FlowFacts]:
        if self._flows is None:
            self._flows = self._penstock.flows()
        if self._choice.flow_id:
            chosen = [flow for flow in self._flows if flow.flow_id == self._choice.flow_id]
            if not chosen:
                raise SettingsError(f"there is no dataflow {self._choice.flow_id} in this file system")
            if chosen[0].status != "Running":
                raise NotReadyError(
                    f"the dataflow {chosen[0].flow_id} is {chosen[0].status}; see: penstock flow show {chosen[0].flow_id}"
                )
            return chosen
        return [flow for flow in self._flows if flow.status == "Running"]

    def _fits(self, flow: FlowFacts, item: Item) -> bool:
        to = self._choice.to
        if self._choice.direction is Direction.EXPORT:
            return item.base.startswith(flow.path) and (
                to is None or (to[0] == flow.storage and to[1].startswith(flow.prefix))
            )
        return (
            item.storage == flow.storage
            and item.base.startswith(flow.prefix)
            and (to is None or to[1].startswith(flow.path))
        )

    def _way(self, flow: FlowFacts, item: Item) -> Way:
        here, there = (flow.path, flow.prefix)
        if self._choice.direction is Direction.IMPORT:
            here, there = there, here
        binds = (flow.path, flow.storage, flow.prefix)
        if self._choice.to is None:
            return Way(flow=flow, binds=binds, directory="/", target_directory="/", cut=here)
        return Way(
            flow=flow,
            binds=binds,
            directory=item.base[len(here) - 1 :],
            target_directory=self._choice.to[1][len(there) - 1 :],
            cut=item.base,
        )

    def _made(self, item: Item) -> Way:
        """What has to be made: a dataflow between the directory that was named and the one that it shall go to."""
        to = self._choice.to
        if to is None:
            raise SettingsError(self._homeless(item))
        if self._choice.direction is Direction.EXPORT:
            return Way(flow=None, binds=(item.base, *to), directory="/", target_directory="/", cut=item.base)
        return Way(
            flow=None, binds=(to[1], item.storage, item.base), directory="/", target_directory="/", cut=item.base
        )

    def _by_task(self, item: Item) -> Way:
        if self._task is None:
            self._task = self._penstock.stream(self._choice.task_id).facts
            if self._task.direction is not self._choice.direction:
                raise SettingsError(f"{self._task.task_id} is a stream for {self._task.direction.value}s")
            self._flows = self._penstock.flows()
        flow = next(each for each in self._flows or () if each.flow_id == self._task.flow_id)
        is_export = self._choice.direction is Direction.EXPORT
        cut = (flow.path if is_export else flow.prefix)[:-1] + self._task.directory
        if not item.path.startswith(cut) or (not is_export and item.storage != flow.storage):
            raise SettingsError(
                f"{item.path} does not lie beneath {cut}, where the sources of {self._task.task_id} are"
            )
        return Way(
            flow=flow,
            binds=(flow.path, flow.storage, flow.prefix),
            directory=self._task.directory,
            target_directory=self._task.target_directory,
            cut=cut,
        )

    # --------------------------------------------------------------------------------------------------------------- open

    def _opened(self, way: Way) -> Stream:
        if self._task is not None:
            self._say(f"stream {self._task.task_id} of dataflow {self._task.flow_id}")
            return Stream(self._penstock, self._task, self._in_flight_max)
        if way.flow is None:
            path, storage, prefix = way.binds
            if self._choice.direction is Direction.IMPORT:
                self._choice.make_directory(path)
            flow = self._bound(path, f"{storage}{prefix}")
            self._say(f"made dataflow {flow.facts.flow_id} between {path} and {storage}{prefix}")
        else:
            flow = Flow(self._penstock, way.flow)
        before = self._penstock.run(find_stream(self._penstock.ground, self._wish(way, flow.facts.flow_id)))
        opening = flow.export_stream if self._choice.direction is Direction.EXPORT else flow.import_stream
        stream = opening(
            way.directory,
            target_directory=way.target_directory,
            policy=self._choice.policy,
            in_flight_max=self._in_flight_max,
        )
        how = "made" if before is None else "using"
        self._say(
            f"{how} stream {stream.facts.task_id} of dataflow {flow.facts.flow_id} ({flow.facts.path} and {flow.facts.there})"
        )
        return stream

    def _bound(self, path: str, there: str) -> Flow:
        try:
            return self._penstock.flow(path, there)
        except ApiRefusedError as error:
            if error.code != TOO_MANY:
                raise
            raise ApiRefusedError(
                str(error),
                code=error.code,
                status=error.status,
                request_id=error.request_id,
                hint="one that binds directories above both sides would carry these files, too: see `penstock flow list`, and "
                "`penstock flow delete` for what is not needed any more",
            ) from error

    def _wish(self, way: Way, flow_id: str) -> StreamWish:
        return StreamWish(
            flow_id=flow_id,
            direction=self._choice.direction,
            directory=way.directory,
            target_directory=way.target_directory,
            policy=self._choice.policy,
        )

    # --------------------------------------------------------------------------------------------------------------- words

    def _homeless(self, item: Item) -> str:
        if self._choice.direction is Direction.EXPORT:
            return f"no running dataflow holds {item.path}: say where it shall go with --to oss://BUCKET/PREFIX/, and one is made"
        return f"no running dataflow holds {item.storage}{item.path}: say where it shall go with --to DIRECTORY, and one is made"

    def _misfit(self, item: Item) -> str:
        flow = self._known()[0]
        return (
            f"the dataflow {flow.flow_id} binds {flow.path} and {flow.there}: {item.storage}{item.path} does not fit it"
        )
