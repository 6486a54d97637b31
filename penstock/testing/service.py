"""A stand-in that runs, as a test sees it: where it is, its bucket and file system, and what it can be told.

Calls the stand-in through `penstock.client` and its bucket through `penstock.stores`. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastcrc import crc64

from penstock.client.blocking import Penstock
from penstock.client.signing import ClientOptions, Parameter
from penstock.client.wire import Client
from penstock.errors import FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Overwrite
from penstock.stores.opening import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An armed fault. `used` is how often it struck, `count` how often it is to (0: until it is removed)."""

    fault_id: str
    kind: str
    count: int
    used: int
    path: str = ""
    task_id: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How the clock of the stand-in stands; `now_ns` is UTC."""

    now_ns: int
    advanced_s: int
    skew_s: int
    is_frozen: bool


class Service:
    """One stand-in. For one thread at a time; each thread may have `client`s of its own."""

    def __init__(self, told: Mapping[str, Any], *, log: Callable[[], str]) -> None:
        """`told` is its ready line."""
        self.endpoint: str = told["api"]
        self.console: str = told["console"]
        self.oss_endpoint: str = told["oss"]
        self.home = Path(told["home"])
        self.access_key_id: str = told["access_key_id"]
        self.access_key_secret: str = told["access_key_secret"]
        self.file_system_id: str = told["file_system_id"]
        self.root = Path(told["root"])
        self.bucket: str = told["bucket"]
        self.region: str = told["region"]
        self._log = log
        options = ClientOptions(
            endpoint=self.endpoint, access_key_id=self.access_key_id, access_key_secret=self.access_key_secret
        )
        self._wire = Client(options)
        self.client = Penstock.of(options, file_system_id=self.file_system_id)
        self._store = open_store(
            Bucket(
                name=self.bucket,
                kind=BucketKind.OSS,
                endpoint=self.oss_endpoint,
                region=self.region,
                addressing_style=AddressingStyle.PATH,
            ),
            Credentials(access_key_id=self.access_key_id, access_key_secret=self.access_key_secret),
        )

    @property
    def sdk(self) -> dict[str, str]:
        """For the vendor's SDK: `Client(Config(**service.sdk))`, of `alibabacloud_nas20170626` and `alibabacloud_tea_openapi`."""
        return {
            "access_key_id": self.access_key_id,
            "access_key_secret": self.access_key_secret,
            "endpoint": urlsplit(self.endpoint).netloc,
            "protocol": "HTTP",
            "region_id": self.region,
        }

    @property
    def storage(self) -> str:
        """The bucket, as SourceStorage names it."""
        return f"oss://{self.bucket}"

    def log(self) -> str:
        """What the stand-in said so far, on its stderr."""
        return self._log()

    def call(self, action: str, **parameters: Parameter | None) -> dict[str, Any]:
        """Any action of the API, once. Raises ApiRefusedError, ApiUnreachableError."""
        return self._wire.call(action, parameters)

    def close(self) -> None:
        """Gives connections back. The stand-in goes on."""
        self._wire.close()
        self.client.close()
        self._store.close()

    # ------------------------------------------------------------------------------------------------------------ the bucket

    def put(self, key: str, body: bytes) -> None:
        """Makes an object. Raises StoreError."""
        self._store.put(key, [body], crc64=crc64.xz(body), metadata={}, precondition=Overwrite())

    def get(self, key: str) -> bytes:
        """The bytes of an object. Raises ObjectNotFoundError, StoreError."""
        body = bytearray(self._store.head(key).size_bytes)
        if body:
            view, done = memoryview(body), 0
            with self._store.get(key) as answer:
                while done < len(body) and (count := answer.readinto(view[done:])):
                    done += count
        return bytes(body)

    def keys(self, prefix: str = "") -> list[str]:
        """The names of all objects that begin so."""
        found: list[str] = []
        token = ""
        while True:
            page = self._store.list_objects(prefix=prefix, token=token)
            found += [one.key for one in page.objects]
            token = page.next_token
            if not token:
                return found

    # ---------------------------------------------------------------------------------------------------------------- faults

    def fail_next(
        self,
        *,
        path: str = "*",
        code: FailureCode | str = FailureCode.STORE_REFUSED,
        message: str = "",
        count: int = 1,
        task_id: str = "",
    ) -> str:
        """The next file whose source or target is named so becomes FAILED. Like all of these: the fault's id."""
        return self._arm(
            "fail", Path=path, FailureCode=str(code), ErrorMessage=message or None, Count=count, TaskId=task_id or None
        )

    def hold_next(self, *, path: str = "*", count: int = 1, task_id: str = "") -> str:
        """It stays RUNNING until the fault is removed (`remove`), or the file is canceled."""
        return self._arm("hold", Path=path, Count=count, TaskId=task_id or None)

    def slow_next(self, *, bytes_per_s: int, path: str = "*", count: int = 1, task_id: str = "") -> str:
        """It takes as long as with so many bytes a second."""
        return self._arm("slow", Path=path, BytesPerSecond=bytes_per_s, Count=count, TaskId=task_id or None)

    def expire_next(self, *, path: str = "*", count: int = 1, task_id: str = "") -> str:
        """It becomes EXPIRED."""
        return self._arm("expire", Path=path, Count=count, TaskId=task_id or None)

    def refuse_next(
        self,
        action: str = "*",
        *,
        code: str = "InternalError",
        status: int | None = None,
        message: str = "",
        retry_after_s: int = 0,
        count: int = 1,
    ) -> str:
        """The next call of this action is refused with this code; the status is that of the code unless it is given."""
        return self._arm(
            "answer",
            ActionName=action,
            ErrorCode=code,
            Status=status,
            ErrorMessage=message or None,
            RetryAfterSeconds=retry_after_s or None,
            Count=count,
        )

    def throttle(self, action: str = "*", *, calls_per_s: int) -> str:
        """Calls of this action beyond so many a second are refused (Throttling.User), until the fault is removed."""
        return self._arm("throttle", ActionName=action, CallsPerSecond=calls_per_s)

    def delay_next(self, action: str = "*", *, delay_s: float, count: int = 1) -> str:
        """The next call of this action is answered so much later."""
        return self._arm("delay", ActionName=action, DelayMilliseconds=int(delay_s * 1000), Count=count)

    def lose_next(self, action: str = "*", *, count: int = 1) -> str:
        """The next call of this action is carried out, but its answer is lost: the connection is cut."""
        return self._arm("lose", ActionName=action, Count=count)

    def remove(self, fault_id: str = "") -> None:
        """That fault is armed no more ("": none is); files that it holds go on."""
        self.call("RemoveStandInFault", FaultId=fault_id or None)

    def faults(self) -> list[Fault]:
        """All that are armed, and those that have struck as often as they were to."""
        return [
            Fault(
                fault_id=one["FaultId"],
                kind=one["Kind"],
                count=one["Count"],
                used=one["Used"],
                path=one.get("Path", ""),
                task_id=one.get("TaskId", ""),
                action=one.get("ActionName", ""),
            )
            for one in self.call("DescribeStandIn")["Faults"]["Fault"]
        ]

    def _arm(self, kind: str, **parameters: Parameter | None) -> str:
        return str(self.call("ArmStandInFault", Kind=kind, **parameters)["FaultId"])

    # ------------------------------------------------------------------------------------------------------ time and state

    def clock(self) -> Clock:
        """How it stands."""
        return _clock(self.call("DescribeStandIn"))

    def advance(self, seconds: int) -> Clock:
        """So much time passes at once: what was to happen by then happens."""
        return _clock(self.call("SetStandInClock", AdvanceSeconds=seconds))

    def freeze(self) -> Clock:
        """The service's time stands still until `thaw`; `advance` moves it all the same."""
        return _clock(self.call("SetStandInClock", Frozen=True))

    def thaw(self) -> Clock:
        """It goes on."""
        return _clock(self.call("SetStandInClock", Frozen=False))

    def skew(self, seconds: int) -> Clock:
        """Signatures are compared with a clock that is so much ahead of the system's (behind: negative)."""
        return _clock(self.call("SetStandInClock", SkewSeconds=seconds))

    def reset(self) -> None:
        """Everything is forgotten: dataflows, tasks, files, objects, faults, the clock."""
        self.call("ResetStandIn")

    def snapshot(self, name: str) -> None:
        """Keeps what is there now: `restore` comes back to it."""
        self.call("SnapshotStandIn", Name=name)

    def restore(self, name: str) -> None:
        """Comes back to what was kept under this name."""
        self.call("RestoreStandIn", Name=name)


def _clock(answer: Mapping[str, Any]) -> Clock:
    told = answer["Clock"]
    return Clock(
        now_ns=told["NowNs"],
        advanced_s=told["AdvancedSeconds"],
        skew_s=told["SkewSeconds"],
        is_frozen=told["Frozen"],
    )
