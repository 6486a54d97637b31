"""One wave of a soak: some hundred files, made, asked for, waited for, judged, and cleared away again."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.client import FileToMove, Parameter, bulk_entry
from penstock.errors import ApiRefusedError, ObjectNotFoundError
from penstock.model import ConflictPolicy
from penstock.stores.base import Store
from penstock.transfer.mtime import of_object
from tests.fixtures.objects import look_at_object, put_object
from tests.fixtures.waiting import wait_until
from tests.soak.errands import (
    MIB,
    MIDDLING,
    MODIFIED_NS,
    SECOND_NS,
    Block,
    Errand,
    Fate,
    Finding,
    Found,
    Past,
    Wrong,
    chosen,
    judge,
)
from tests.soak.restless import RestlessFile, RestlessObject
from tests.soak.stand import Caller, Stand

FILE_CHANGES = 40
CHANGE_PAUSE_S = (0.0, 0.5)  # a large file is begun once it has rested for a tenth of a second
STEP_PAUSE_S = 0.001
OBJECT_CHANGES = 20
_NO_MORE = object()
STUCK_S = 900.0
LOOSE_BYTES_MAX = 40 * MIB
"""Of the sources of one wave on the loose disk, so that it is never full but on purpose."""

LIVE = frozenset({"CREATED", "RUNNING", "CANCELING"})
FOREIGN_UPLOAD = "foreign/upload"
ACTIONS = {"export": "StreamExport", "import": "StreamImport"}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of all waves so far, and of which kinds their files were; guarded by its lock."""

    endings: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    moved_bytes: int = 0
    waves: int = 0
    findings: list[Finding] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, endings: Mapping[str, int], kinds: Mapping[str, int], moved_bytes: int, findings: Sequence[Finding]
    ) -> None:
        """One wave more."""
        with self.lock:
            self.endings.update(endings)
            self.kinds.update(kinds)
            self.moved_bytes += moved_bytes
            self.findings += findings
            self.waves += 1

    def found(self, finding: Finding) -> None:
        """Something beside the waves."""
        with self.lock:
            self.findings.append(finding)


class Wave:
    """One stream and its files. All that is by chance comes from `dice`."""

    def __init__(self, stand: Stand, block: Block, dice: random.Random, *, name: str, files: int) -> None:
        self._stand = stand
        self._block = block
        self._dice = dice
        self.name = name
        self.flow = stand.flows[dice.choice(sorted(stand.flows))]
        self.direction = dice.choice(sorted(ACTIONS))
        self.policy = dice.choice(list(ConflictPolicy))
        self._by_bulk = dice.random() < 0.5
        finest_ns = SECOND_NS if self.flow.is_loose else 1  # what the disk keeps of a time
        self.errands = _bounded(
            [chosen(block, dice, f"{number:04}.bin", finest_ns=finest_ns) for number in range(files)],
            LOOSE_BYTES_MAX if self.flow.is_loose else None,
        )
        self._pasts = {errand.name: Past(block.cut(errand.first)) for errand in self.errands}
        self._tree = self.flow.files / name
        self._task = ""
        self._caller = Caller(stand)
        self._ids: dict[str, Errand] = {}

    def run(self, tally: Tally, ended: threading.Event) -> list[Finding]:
        """From the first byte to the last judgement. `ended`: asked to come to an end, so that nothing more is replaced."""
        with self._stand.room(self.flow):
            (self._tree / "in").mkdir(parents=True)
            (self._tree / "out").mkdir()
        self._stand.truly(self.flow.name, self._prepare)
        self._open()
        self._ask()
        items = self._wait(ended)
        findings = self._stand.truly(self.flow.name, lambda store: self._judge(store, items))
        self._stand.truly(self.flow.name, self._clear)
        self._caller.close()
        faults = [*self._caller.history.faults(), *self._caller.defects]
        findings += [Finding(wrong=Wrong.UNTRUE, words=f"{self}: {fault}") for fault in faults]
        done = [item for item in items.values() if item["Status"] == "COMPLETE"]
        endings = Counter(f"{item['Status']}" for item in items.values())
        moved_bytes = sum(item["ProgressStats"]["ActualBytes"] for item in done)
        tally.add(endings, Counter(self._kinds(items)), moved_bytes, findings)
        return findings

    def __str__(self) -> str:
        door = "bulk door" if self._by_bulk else "single calls"
        return f"{self.name}: {len(self.errands)} files, {self.direction}, {self.flow.name}, {self.policy}, {door}"

    def _kinds(self, items: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        """Of which kinds each of the sub-tasks was."""
        for sub_task in items.keys() & self._ids.keys():
            errand = self._ids[sub_task]
            yield f"under {self.policy}"
            if errand.fate is not Fate.PLAIN:
                yield f"{errand.fate}"
            if errand.unrest is not None:
                yield f"{errand.fate}: {errand.unrest}"
            if errand.first.size_bytes > MIDDLING[1]:
                yield f"{self.direction}s of more than 8 MiB"
            elif errand.first.size_bytes > MIDDLING[0]:
                yield f"{self.direction}s of 64 KiB to 8 MiB"

    # -------------------------------------------------------------------------------------------------------- beforehand

    def _prepare(self, store: Store) -> None:
        for errand in self.errands:
            if errand.fate is not Fate.MISSING:
                self._put_source(store, errand, self._block.cut(errand.first))
            if errand.earlier is not None:
                self._put_target(store, errand, self._block.cut(errand.earlier))

    def _put_source(self, store: Store, errand: Errand, content: bytes) -> None:
        if self.direction == "export":
            with self._stand.room(self.flow):
                _replace(self._tree / "out" / errand.name, content, modify_ns=MODIFIED_NS)
        else:
            put_object(store, self._source_key(errand), content, modify_ns=MODIFIED_NS)

    def _put_target(self, store: Store, errand: Errand, content: bytes) -> None:
        if self.direction == "export":
            put_object(store, self._target_key(errand), content, modify_ns=errand.earlier_ns)
        else:
            with self._stand.room(self.flow):
                _replace(self._tree / "in" / errand.name, content, modify_ns=errand.earlier_ns)

    def _source_key(self, errand: Errand) -> str:
        return f"{self.name}/source/{errand.name}"

    def _target_key(self, errand: Errand) -> str:
        return f"{self.name}/target/{errand.name}"

    # ------------------------------------------------------------------------------------------------------------ asking

    def _open(self) -> None:
        is_export = self.direction == "export"
        answer = self._caller.call(
            "CreateDataFlowTask",
            {
                **self._flow(),
                "TaskAction": ACTIONS[self.direction],
                "DataType": "MetaAndData",
                "ConflictPolicy": self.policy,
                "Directory": f"/{self.name}/{'out' if is_export else 'source'}/",
                "DstDirectory": f"/{self.name}/{'target' if is_export else 'in'}/",
                "ClientToken": f"{self.name}-open",
            },
        )
        self._task = str(answer["TaskId"])

    def _flow(self) -> dict[str, Parameter]:
        return {"FileSystemId": self.flow.file_system_id, "DataFlowId": self.flow.data_flow_id}

    def _stream(self) -> dict[str, Parameter]:
        return {**self._flow(), "DataFlowTaskId": self._task}

    def _ask(self) -> None:
        if not self._by_bulk:
            for errand in self.errands:
                self._ids[self._ask_one(errand)] = errand
            return
        files = ",".join(bulk_entry(_file(errand)) for errand in self.errands)
        answer = self._caller.call(
            "CreateDataFlowSubTasks",
            {**self._stream(), "PathBase": "task", "ClientToken": f"{self.name}-all"},
            form={"SubTasks": f"[{files}]"},
        )
        created = answer["DataFlowSubTask"]["DataFlowSubTask"]
        self._ids = {one["DataFlowSubTaskId"]: errand for one, errand in zip(created, self.errands, strict=True)}

    def _ask_one(self, errand: Errand) -> str:
        asked = {
            **self._stream(),
            "SrcFilePath": f"/{errand.name}",
            "DstFilePath": f"/{errand.name}",
            "ClientToken": f"{self.name}-{errand.name}",
        }
        if errand.is_refused:
            asked["Condition"] = {"Size": errand.first.size_bytes + 1}
        answer = self._caller.call("CreateDataFlowSubTask", asked)
        return str(answer["DataFlowSubTaskId"])

    # ----------------------------------------------------------------------------------------------------------- meanwhile

    def _wait(self, ended: threading.Event) -> dict[str, dict[str, Any]]:
        meddling = _Meddling(self, ended)
        items: dict[str, dict[str, Any]] = {}

        def are_final() -> bool:
            is_over = meddling.step()
            items.clear()
            seen = self._caller.walk(self.flow.file_system_id, {"DataFlowTaskIds": self._task})
            items.update({item["DataFlowSubTaskId"]: item for item in seen})
            return is_over and bool(items) and not any(item["Status"] in LIVE for item in items.values())

        with suppress(TimeoutError):  # the judge says so
            wait_until(are_final, STUCK_S, "the wave does not end")
        return items

    def canceled(self) -> dict[str, float]:
        """Sub-tasks that are to be canceled, and how many seconds after they were asked for."""
        return {one: errand.cancel_after_s for one, errand in self._ids.items() if errand.fate is Fate.CANCELED}

    def cancel(self, sub_task: str) -> None:
        """Take it back."""
        with suppress(ApiRefusedError):  # it has ended, or a call without an answer was heard
            self._caller.call("CancelDataFlowSubTask", {**self._stream(), "DataFlowSubTaskId": sub_task})

    def restless_files(self) -> list[RestlessFile]:
        """Sources of an export that are changed while they are moved."""
        return [
            RestlessFile(self._block, one, self._pasts[one.name], self._tree / "out" / one.name, _replace)
            for one in self.errands
            if one.unrest is not None and self.direction == "export"
        ]

    def restless_objects(self) -> list[RestlessObject]:
        """Sources of an import that are changed while they are moved."""
        return [
            RestlessObject(self._block, one, self._pasts[one.name], self._source_key(one), put_object)
            for one in self.errands
            if one.unrest is not None and self.direction == "import"
        ]

    def change_files(self, number: int, files: Sequence[RestlessFile]) -> Iterator[None]:
        """Make the next change to all of them side by side, a step of each at a time."""
        changing = [file.changes(number) for file in files]
        while changing:
            for one in list(changing):
                with self._stand.room(self.flow):
                    if next(one, _NO_MORE) is _NO_MORE:
                        changing.remove(one)
            yield

    def change_objects(self, number: int, objects: Sequence[RestlessObject]) -> None:
        """Make the next change to each of them."""

        def put(store: Store) -> None:
            for one in objects:
                one.step(number, store)

        if objects:
            self._stand.truly(self.flow.name, put)

    # ------------------------------------------------------------------------------------------------------------- the end

    def _judge(self, store: Store, items: Mapping[str, dict[str, Any]]) -> list[Finding]:
        findings = []
        for sub_task, errand in self._ids.items():
            item = items.get(sub_task)
            if item is None:
                findings.append(
                    Finding(wrong=Wrong.LOST, words=f"{self.name}: {sub_task} was acknowledged and is unknown")
                )
            elif item["Status"] in LIVE:
                words = f"{self}: {sub_task} is {item['Status']} after {STUCK_S:g} s: {item['ErrorMsg']!r}"
                findings.append(Finding(wrong=Wrong.STUCK, words=words))
            else:
                found = self._found(store, errand)
                past = self._pasts[errand.name]
                finding = judge(self._block, errand, item, found, policy=self.policy, past=past)
                if finding is not None:
                    words = f"{self}: {sub_task} {finding.words}; {self._remains(store, errand)}"
                    findings.append(Finding(wrong=finding.wrong, words=words))
        for sub_task in items.keys() - self._ids.keys():
            words = f"{self}: {sub_task} was made twice: {items[sub_task]['SrcFilePath']}"
            findings.append(Finding(wrong=Wrong.UNTRUE, words=words))
        return findings

    def _found(self, store: Store, errand: Errand) -> Found | None:
        try:
            if self.direction == "import":
                path = self._tree / "in" / errand.name
                return Found(content=path.read_bytes(), modify_ns=path.stat().st_mtime_ns)
            return read_object(store, self._target_key(errand))
        except (FileNotFoundError, ObjectNotFoundError):
            return None

    def _remains(self, store: Store, errand: Errand) -> str:
        """What the store keeps of the target and what was done to requests for it, for whoever looks for the cause."""
        if self.direction == "import":
            return ""
        key = self._target_key(errand)
        versions = [
            f"{one.version_id}{' (marker)' if one.is_delete_marker else ''} {one.size_bytes}"
            for one in store.list_versions(prefix=key)
        ]
        return f"versions {versions}, lies {[one for one in list(self._stand.chaos.struck) if one.endswith(key)]}"

    def _clear(self, store: Store) -> None:
        """What a wave made goes; what Penstock may have left beside it stays, for the judgement at the end."""
        with suppress(ApiRefusedError):  # it has live sub-tasks
            self._caller.call("CancelDataFlowTask", {**self._flow(), "TaskId": self._task})
        for errand in self.errands:
            for directory in ("in", "out"):
                (self._tree / directory / errand.name).unlink(missing_ok=True)
        for version in list(store.list_versions(prefix=f"{self.name}/")):
            store.delete(version.key, version_id=version.version_id)


class _Meddling:
    """What befalls a wave's files on purpose while they move: files in a thread of its own, the rest a little at each step."""

    def __init__(self, wave: Wave, ended: threading.Event) -> None:
        self._wave = wave
        self._ended = ended
        self._begun_s = time.monotonic()
        self._to_cancel = wave.canceled()
        self._objects = wave.restless_objects()
        self._changes = 0
        self._trouble: Exception | None = None
        self._dice = random.Random(wave.name)
        self._changing = threading.Thread(target=self._change_files, name=f"unrest-{wave.name}", daemon=True)
        self._changing.start()

    def step(self) -> bool:
        """Whether nothing more is to be cancelled, and no file is changed any more. Raises what went wrong with that."""
        passed_s = time.monotonic() - self._begun_s
        for sub_task in [one for one, after_s in self._to_cancel.items() if passed_s >= after_s]:
            del self._to_cancel[sub_task]
            self._wave.cancel(sub_task)
        if self._changes < OBJECT_CHANGES and not self._ended.is_set():
            self._changes += 1
            self._wave.change_objects(self._changes, self._objects)
        if self._trouble is not None:
            raise self._trouble
        return not self._to_cancel and not self._changing.is_alive()

    def _change_files(self) -> None:
        files = self._wave.restless_files()
        try:
            for number in range(1, FILE_CHANGES + 1 if files else 0):
                for _ in self._wave.change_files(number, files):
                    self._ended.wait(STEP_PAUSE_S)
                if self._ended.wait(self._dice.uniform(*CHANGE_PAUSE_S)):
                    return
        except Exception as error:  # noqa: BLE001 - raised by whoever asks for the next step
            self._trouble = error


def _file(errand: Errand) -> FileToMove:
    wrong_size = errand.first.size_bytes + 1 if errand.is_refused else None
    return FileToMove(source=errand.name, target=errand.name, size_bytes=wrong_size)


def _bounded(errands: Sequence[Errand], bytes_max: int | None) -> list[Errand]:
    """The first ones, of so many bytes together."""
    kept: list[Errand] = []
    total = 0
    for errand in errands:
        total += errand.first.size_bytes
        if bytes_max is None or total <= bytes_max:
            kept.append(errand)
    return kept


def _replace(path: Path, content: bytes, modify_ns: int | None = None) -> None:
    """As a careful program would: readers see the old file or the new one."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    if modify_ns is not None:
        os.utime(beside, ns=(modify_ns, modify_ns))
    os.rename(beside, path)


def read_object(store: Store, key: str) -> Found:
    """An object, whole. Raises ObjectNotFoundError."""
    info, content = look_at_object(store, key)
    return Found(content=content, modify_ns=of_object(info).ns)


@contextmanager
def foreign_things(stand: Stand) -> Iterator[list[Finding]]:
    """Things of somebody else that look like ours; the list tells, after the block, which of them were touched."""
    findings: list[Finding] = []
    partial = stand.root / "rough" / ".penstock-0123456789abcdef.partial"
    partial.write_bytes(b"another program's")

    def put(store: Store) -> tuple[str, str]:
        upload = store.initiate(FOREIGN_UPLOAD, metadata={})
        part = store.put_part(FOREIGN_UPLOAD, upload, 1, [b"p" * 200_000], crc64=None)
        put_object(store, "foreign/object", b"another's")
        return upload, part.etag

    upload, etag = stand.truly("rough", put)
    yield findings
    if not partial.exists() or partial.read_bytes() != b"another program's":
        findings.append(Finding(wrong=Wrong.FOREIGN, words=f"{partial} was removed or changed"))
    if [etag] != stand.truly("rough", lambda store: [one.etag for one in store.list_parts(FOREIGN_UPLOAD, upload)]):
        findings.append(Finding(wrong=Wrong.FOREIGN, words=f"the upload of {FOREIGN_UPLOAD} was removed or changed"))
    if stand.truly("rough", lambda store: read_object(store, "foreign/object")).content != b"another's":
        findings.append(Finding(wrong=Wrong.FOREIGN, words="foreign/object was changed"))
    partial.unlink(missing_ok=True)
