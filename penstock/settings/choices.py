"""Every setting of penstock.toml: its default, what is allowed, and the comment that stands above it in the file.

`Settings` is the one table: reading judges by it, writing prints it, the documentation is tested against it. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

CONSOLE_LISTEN = "127.0.0.1:8682"
OFFSET = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")

_HOST_AND_PORT = (
    r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]{1,253})"
    r":([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)


class Kind(StrEnum):
    """How a setting's value is written."""

    WORD = "text"
    WHOLE = "a whole number"
    NUMBER = "a number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one setting allows, and how it is explained. `words` empty means any text."""

    kind: Kind
    comment: str
    heading: str = ""
    least: float = 0
    most: float = 0
    words: tuple[str, ...] = ()
    pattern: str = ""
    wanted: str = ""

    def allowed(self) -> str:
        """What a person may write, as the end of a sentence."""
        if self.kind is not Kind.WORD:
            return f"{self.kind} from {self.least:g} to {self.most:g}" if self.most < 1e6 else self._large()
        if self.words:
            return " or ".join(f'"{word}"' for word in self.words)
        return self.wanted or "text in quotes"

    def _large(self) -> str:
        return f"{self.kind} from {int(self.least):,} to {int(self.most):,}"

    def refuses(self, value: object) -> bool:
        """Whether the value is outside of what is allowed."""
        if self.kind is Kind.WORD:
            if not isinstance(value, str) or any(ord(letter) < 32 for letter in value):
                return True
            if self.words:
                return value not in self.words
            return bool(self.pattern) and re.fullmatch(self.pattern, value) is None
        right = (int,) if self.kind is Kind.WHOLE else (int, float)
        if isinstance(value, bool) or not isinstance(value, right):
            return True
        return not self.least <= value <= self.most


def _word(
    default: str, comment: str, *, words: Sequence[str] = (), heading: str = "", pattern: str = "", wanted: str = ""
) -> str:
    rule = Rule(kind=Kind.WORD, comment=comment, words=tuple(words), heading=heading, pattern=pattern, wanted=wanted)
    return field(default=default, metadata={"rule": rule})


def _whole(default: int, comment: str, *, least: int, most: int, heading: str = "") -> int:
    rule = Rule(kind=Kind.WHOLE, comment=comment, least=least, most=most, heading=heading)
    return field(default=default, metadata={"rule": rule})


def _number(default: float, comment: str, *, least: float, most: float, heading: str = "") -> float:
    rule = Rule(kind=Kind.NUMBER, comment=comment, least=least, most=most, heading=heading)
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, judged. Those with a path are as written; `penstock.settings.reading.beneath` makes them absolute."""

    listen: str = _word(
        "127.0.0.1",
        "The address to listen on. Anything but loopback should come with TLS (tls_certificate, tls_key).",
        heading="Where the service listens",
        pattern=r"[0-9A-Za-z.:_-]{1,253}",
        wanted='an address or host name, like "127.0.0.1", "::1" or "0.0.0.0"',
    )
    port: int = _whole(8680, "The port of the API; 0 takes any free one.", least=0, most=65535)
    emulator_port: int = _whole(
        8681, "The port of the embedded bucket server; 0 takes any free one.", least=0, most=65535
    )
    tls_certificate: str = _word(
        "", "Certificate chain and private key (PEM files, relative to this directory). Both or none; with both, https."
    )
    tls_key: str = _word("", "")
    metrics_listen: str = _word(
        "",
        'Where metrics are told to Prometheus (GET /metrics): host:port, like "127.0.0.1:9680" or "[::1]:9680"; port 0 takes\n'
        "any free one. Empty: nowhere. There is no login and no TLS: bucket names and amounts can be read by who gets there.",
        pattern=rf"|{_HOST_AND_PORT}",
        wanted='host:port, like "127.0.0.1:9680" or "[::1]:9680", or nothing',
    )
    console_listen: str = _word(
        CONSOLE_LISTEN,
        'Where the console, the web page, is served: host:port, like "127.0.0.1:8682" or "[::1]:8682"; port 0 takes any free\n'
        "one. Empty: nowhere. Visitors log in with an access key; anything but loopback should come with TLS.",
        pattern=rf"|{_HOST_AND_PORT}",
        wanted='host:port, like "127.0.0.1:8682" or "[::1]:8682", or nothing',
    )
    console_names: str = _word(
        "",
        "By which names, besides localhost, addresses and this machine's own name, the console may be visited:\n"
        "separated by commas. A page that is asked for by another name may be a trap, and is refused.",
        pattern=r"|[0-9A-Za-z._, -]{1,1000}",
        wanted='names, like "penstock.example.com, storage.example.com", or nothing',
    )
    log_format: str = _word(
        "text",
        'How the log on stderr is written: "text", a line for people, or "json", an object a line for what collects logs.',
        words=("text", "json"),
    )
    log_made: str = _word(
        "yes",
        "Whether each call that has made something leaves a line in the log, which leads from its request id to the ids that it\n"
        "made (api.made). Thousands of calls a second are thousands of lines a second.",
        words=("yes", "no"),
    )
    region: str = _word(
        "cn-hangzhou",
        "The region that answers name, and that new file systems and embedded buckets get.",
        heading="How the API behaves",
        pattern=r"[a-z0-9][a-z0-9-]{0,62}",
        wanted='lower-case letters, digits and "-", like "cn-hangzhou"',
    )
    file_system_root: str = _word(
        "",
        "The absolute path of a directory in which CreateFileSystem may make directories and register them. Empty: nowhere.",
        pattern=r"|/.{1,1000}",
        wanted="an absolute path, or nothing",
    )
    fidelity: str = _word(
        "lenient",
        'How closely to follow the vendor where Penstock can do more: "strict" refuses what the cloud refuses.',
        words=("lenient", "strict"),
    )
    subtask_path_base: str = _word(
        "walkthrough",
        "What a sub-task's paths are relative to. \"walkthrough\": a path that already lies under the task's directory\n"
        "is relative to the dataflow's root, any other to the task's directory. \"task\": always the task's directory.",
        words=("walkthrough", "task"),
    )
    bucket_codes: str = _word(
        "InvalidSourceStorage",
        "By which of the vendor's codes CreateDataFlow refuses a bucket that is not there, denied or elsewhere: those of the\n"
        'operation\'s page, "InvalidSourceStorage", or those of the product\'s, "DataFlow.Bucket".',
        words=("InvalidSourceStorage", "DataFlow.Bucket"),
    )
    api_time_zone: str = _word(
        "UTC",
        'Times that the API answers without a zone are in this one: "UTC", an offset, or a name of the tz database.',
        pattern=r"[A-Za-z0-9_+:/-]{1,64}",
        wanted='"UTC", an offset like "+08:00", or a name like "Asia/Shanghai" that this machine knows',
    )
    transition_delay_s: float = _number(
        0,
        "How many seconds a dataflow or stream stays in its transition, as in the cloud, where it takes minutes: Starting,\n"
        "Stopping, Updating, Deleting, Pending. With 0 each call is done when it answers.",
        least=0,
        most=3600,
    )
    waiting_max: int = _whole(
        1_000_000,
        "How many sub-tasks of one dataflow may wait; beyond, CreateDataFlowSubTask answers Throttling.User.",
        least=1,
        most=100_000_000,
        heading="What is kept, and how long",
    )
    subtask_expiry_days: float = _number(
        7, "A sub-task that did not start within this time becomes EXPIRED.", least=0.001, most=3650
    )
    history_retention_days: float = _number(90, "Finished sub-tasks are kept this long.", least=0.001, most=36500)
    movers: int = _whole(2, "How many processes move bytes.", least=1, most=64, heading="How files are moved")
    mover_small_files: int = _whole(64, "How many small files each of them moves at once.", least=1, most=256)
    mover_large_files: int = _whole(12, "How many large files each of them moves at once.", least=1, most=64)
    attempts_max: int = _whole(
        8,
        "How many times a file is tried before its sub-task is FAILED. An outage (the store or the file system is away, full,\n"
        "or asks to slow down) is waited out beyond that: only attempts_deadline_h ends it.",
        least=1,
        most=1000,
    )
    attempts_deadline_h: float = _number(
        24, "How many hours after its first start a sub-task is not tried again.", least=0.001, most=8760
    )
    symlinks: str = _word(
        "refuse",
        'What becomes of a symbolic link that is to be exported. "refuse": its sub-task is FAILED. "vendor": as in the\n'
        "cloud, an empty object is written; the link is not followed.",
        words=("refuse", "vendor"),
    )
    keep_owner_and_mode: str = _word(
        "no",
        'Whether owner and permissions travel with a file, in metadata of the object. With "yes" an import sets them as the\n'
        "object says, so whoever may write to the bucket decides on them; the owner needs a service that may change owners.",
        words=("no", "yes"),
    )
    drain_s: float = _number(
        20, "How many seconds work may take to come to a clean stop after SIGTERM.", least=0, most=600
    )


def rules() -> dict[str, tuple[Rule, Field[Any]]]:
    """Every setting's rule and field, in the order of the file."""
    return {each.name: (each.metadata["rule"], each) for each in fields(Settings)}


def known_time_zone(name: str) -> bool:
    """Whether `name` is UTC, an offset, or a zone of this machine's tz database."""
    if name == "UTC" or OFFSET.fullmatch(name):
        return True
    try:
        ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return False
    except KeyError:
        return False
    return True
