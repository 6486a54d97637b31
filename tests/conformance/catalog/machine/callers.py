"""The rules of those who call the API: dataflows, tasks, sub-tasks, cancels, tokens, nonces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from penstock.catalog.verbs import (
    Accepted,
    Call,
    CallMode,
    Changes,
    Health,
    NewFile,
    NewSubTask,
    NewSubTasks,
)
from penstock.errors import NonceUsedError, TokenMismatchError
from penstock.model import Condition, ConflictPolicy, TaskAction
from tests.conformance.catalog.machine.stand import FSS, Stand, pick
from tests.fixtures.newwork import new_flow, new_task

FLOWS_MAX = 2
SOURCES, TARGETS = "pqPQ", "xyXY"
DEEP = (
    "deep/" * 50
)  # what a capital letter stands behind: longer than what indexes hold of a path, and than a line's name

PLACES = st.integers(0, 1 << 16)
TOKENS = st.sampled_from(["", "", "", "s", "t"])
MODES = st.sampled_from([CallMode.COMMIT] * 5 + [CallMode.DRY_RUN])
FILES = st.tuples(st.sampled_from(SOURCES), st.sampled_from(TARGETS), st.sampled_from([None, 7]))
"""A file in short: which source, which target, and the size that it has to have."""

Short = tuple[str, str, int | None]


def path_of(root: str, name: str) -> str:
    """The path that a letter stands for."""
    return f"{root}{DEEP if name.isupper() else ''}{name}"


def file_of(short: Short) -> NewFile:
    """The file that is meant."""
    source, target, size = short
    written = path_of("/data/", target)
    return NewFile(path_of("/train/", source), written, "", f"fs:{written}", Condition(size_bytes=size))


def words(*parts: object) -> str:
    """What a token is bound to."""
    return repr(parts)


class Callers(Stand):
    """Whoever calls."""

    # ------------------------------------------------------------------------------------------------ dataflows and tasks

    @rule(
        fs=st.sampled_from(FSS),
        path=st.sampled_from(["/a/", "/b/"]),
        bucket=st.sampled_from(["u", "v"]),
        versioned=st.sampled_from([True, True, False]),
        token=TOKENS,
        mode=MODES,
    )
    def create_flow(self, *, fs: str, path: str, bucket: str, versioned: bool, token: str, mode: CallMode) -> None:
        self.tick()
        new = new_flow(fs, path, bucket, versioned=versioned, data_flows_max=FLOWS_MAX)
        call = self.call("flow", token=token, fingerprint=words(fs, path, bucket), mode=mode)
        real = self.catalog.create_data_flow(call, new)
        self.both(real, self.made(call, lambda made: self.ledger.create_flow(new, made)))

    @rule(
        place=PLACES,
        how=st.sampled_from(["modify", "stop", "start", "start", "delete", "lose", "find", "find"]),
        mode=MODES,
    )
    def steer_flow(self, place: int, how: str, mode: CallMode) -> None:
        self.tick()
        fs, flow = self.flow_at(place)
        call, catalog, ledger = self.call(how, mode=mode), self.catalog, self.ledger
        text = f"text {place}"
        verbs: dict[str, tuple[Any, Callable[[], None]]] = {
            "modify": (
                lambda: catalog.modify_data_flow(call, fs, flow, Changes(description=text)),
                lambda: ledger.modify_flow(fs, flow, text),
            ),
            "stop": (lambda: catalog.stop_data_flow(call, fs, flow), lambda: ledger.stop_flow(fs, flow)),
            "start": (lambda: catalog.start_data_flow(call, fs, flow), lambda: ledger.start_flow(fs, flow)),
            "delete": (lambda: catalog.delete_data_flow(call, fs, flow), lambda: ledger.delete_flow(fs, flow)),
        }
        if how in verbs:
            real, model = verbs[how]
            self.both(real(), self.done(call, model))
        elif flow in ledger.flows:
            health = Health.UNREACHABLE if how == "lose" else Health.REACHABLE
            self.both(catalog.set_health(flow, health=health), lambda _: ledger.set_health(flow, health))

    @rule(
        place=PLACES,
        action=st.sampled_from([TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT] * 3 + [TaskAction.IMPORT]),
        token=TOKENS,
        mode=MODES,
    )
    def create_task(self, place: int, action: TaskAction, token: str, mode: CallMode) -> None:
        self.tick()
        fs, flow = self.flow_at(place)
        new = new_task(fs, flow, action, conflict_policy=ConflictPolicy.KEEP_LATEST)
        call = self.call("task", token=token, fingerprint=words(fs, flow, action), mode=mode)
        self.both(self.catalog.create_task(call, new), self.made(call, lambda made: self.ledger.create_task(new, made)))

    @rule(place=PLACES, mode=MODES)
    def cancel_task(self, place: int, mode: CallMode) -> None:
        """Seldom, for nothing can be created in what is closed."""
        self.tick()
        if place % 3:
            return
        ids, call = self.task_at(place), self.call("close", mode=mode)
        self.both(self.catalog.cancel_task(call, *ids), self.done(call, lambda: self.ledger.cancel_task(*ids)))

    # ---------------------------------------------------------------------------------------------------------- sub-tasks

    @rule(place=PLACES, file=FILES, token=TOKENS, mode=MODES)
    def create(self, place: int, file: Short, token: str, mode: CallMode) -> None:
        self.tick()
        call, new = self.one(place, file, token, mode)
        self.both(self.catalog.create_sub_task(call, new), self.accepted(call, new))

    def one(self, place: int, file: Short, token: str, mode: CallMode = CallMode.COMMIT) -> tuple[Call, NewSubTask]:
        """A call for one file."""
        fs, flow, task = self.task_at(place)
        new = NewSubTask(file_system_id=fs, data_flow_id=flow, task_id=task, **file_of(file)._asdict())
        return self.call("one", token=token, fingerprint=words(task, file), mode=mode), new

    def accepted(self, call: Call, new: NewSubTask) -> Callable[[str | None], None]:
        """What the model says of it."""
        file = NewFile(new.source, new.target, new.rival, new.target_name, new.condition)
        ids = new.file_system_id, new.data_flow_id, new.task_id
        return self.made(call, lambda made: self.ledger.accept(ids, [file], [made]))

    @rule(wishes=st.lists(st.tuples(PLACES, FILES, TOKENS), min_size=2, max_size=4))
    def create_together(self, wishes: Sequence[tuple[int, Short, str]]) -> None:
        """Several callers at one moment: one transaction may serve them all."""
        self.tick()
        calls = [self.one(*wish) for wish in wishes]

        async def at_once() -> list[str | BaseException]:
            return await asyncio.gather(*(self.catalog.create_sub_task(*one) for one in calls), return_exceptions=True)

        answers = self.do(at_once())
        self.promised = self.disk.last.number
        for (call, new), answer in zip(calls, answers, strict=True):
            self.told(answer, self.accepted(call, new))

    def told(self, answer: Any, model: Callable[[Any], object]) -> None:
        """As `both`, of what was answered already."""

        async def again() -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        self.both(again(), model)

    @rule(place=PLACES, files=st.lists(FILES, max_size=5), token=TOKENS, mode=MODES)
    def create_many(self, place: int, files: list[Short], token: str, mode: CallMode) -> None:
        self.tick()
        fs, flow, task = self.task_at(place)
        meant = [file_of(file) for file in files]
        new = NewSubTasks(file_system_id=fs, data_flow_id=flow, task_id=task, files=meant, remark=f"remark {place}")
        call = self.call("many", token=token, fingerprint=words(task, files), mode=mode)
        known = self.ledger.tokens.get(call.client_token)

        def expected(answer: Accepted | None) -> None:
            made = tuple(answer.sub_task_ids) if answer is not None else ()

            def verb() -> Sequence[str]:
                self.ledger.accept((fs, flow, task), meant, made)
                return made

            want = self.ledger.guarded(call, verb)
            if answer is not None:
                assert answer.asked == len(files)
                assert mode is CallMode.DRY_RUN or made == tuple(want)
                assert known is not None or answer.remark == new.remark
                if mode is not CallMode.DRY_RUN:
                    self.note_ids(made, is_known=known is not None)

        self.both(self.catalog.create_sub_tasks(call, new), expected)

    @precondition(lambda self: self.ledger.files)
    @rule(place=PLACES, token=TOKENS, mode=MODES)
    def cancel(self, place: int, token: str, mode: CallMode) -> None:
        self.tick()
        ids = self.file_at(place)
        call = self.call("cancel", token=token, fingerprint=words(*ids), mode=mode)
        file = self.ledger.files.get(ids[3])
        before = (file.status, file.owner) if file else None
        self.both(self.catalog.cancel_sub_task(call, *ids), self.done(call, lambda: self.ledger.cancel_file(*ids)))
        told = self.do(self.catalog.cancel_bell.wait(0))
        asked = file is not None and file.owner and before == ("RUNNING", file.owner) and file.status == "CANCELING"
        assert told or not asked, "somebody is to withdraw, and was not told"

    # -------------------------------------------------------------------------------------------------- nonces and tokens

    @rule(
        place=PLACES,
        how=st.sampled_from(["replay", "replay a read", "read", "read with a used one", "refuse", "remember"]),
    )
    def say_it_again(self, place: int, how: str) -> None:
        """Nonces that were used before, in whatever kind of call, and tokens that are asked for before anything is done."""
        self.tick()
        used = sorted(self.read_nonces) if how == "replay a read" else sorted(self.ledger.nonces)
        nonce = pick(place, used) if how.startswith(("replay", "read with")) else self.chance.randbytes(8).hex()
        token = pick(place, sorted(self.ledger.tokens))
        if how == "remember" and token is not None:
            self.remember(token, "!" * (place % 2))
        elif nonce is not None:
            self.use(nonce, how)

    def use(self, nonce: str, how: str) -> None:
        """A call with this nonce. One that is told by its signature to have been there before changes nothing."""
        call = Call(access_key_id="key", action="again", nonce=nonce)
        ids = self.task_at(0)

        def expected(_: object) -> None:
            if nonce in self.read_nonces or nonce in self.ledger.nonces:
                raise NonceUsedError(nonce)
            if how == "refuse":
                self.ledger.nonces[nonce] = self.ns
            else:
                self.read_nonces.add(nonce)

        if how.startswith("replay"):
            self.both(self.catalog.cancel_task(call, *ids), expected)
        else:
            real = self.catalog.refuse(call) if how == "refuse" else self.catalog.use_nonce(nonce)
            self.both(real, expected, lasts=False)

    def remember(self, token: str, other: str) -> None:
        """Ask what a token stands for, `other` parameters or the same."""
        known = self.ledger.tokens[token]
        call = Call(access_key_id="key", action=token[:-1], client_token=token, fingerprint=known.fingerprint + other)

        def expected(answer: str | None) -> None:
            if other:
                raise TokenMismatchError(token)
            assert call.action == "many" or answer == "".join(known.result)

        self.both(self.catalog.remembered(call), expected)
