"""What callers ask by that this version does not know: parameters no operation declares, and other versions of the API.

An upgrade of the vendor's SDK brings them. They are tolerated, which nobody would notice; so they are counted and listed. Strict
fidelity refuses them. Bounded: a caller may make up as many names as it likes. For the loop's thread; calls nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from penstock import telemetry
from penstock.api.errors import ApiError
from penstock.api.options import Fidelity
from penstock.api.parameters import Parameter
from penstock.telemetry import meters

COMMON = frozenset(
    {
        "AccessKeyId", "Action", "Format", "RegionId", "SecurityToken", "Signature", "SignatureMethod", "SignatureNonce",
        "SignatureType", "SignatureVersion", "Timestamp", "Version",
    }
)  # fmt: skip
"""What belongs to the protocol and not to an operation."""

LISTED_MAX = 200
NAME_MAX_CHARACTERS = 100
_TOLD_MAX = 5
_INDEX = re.compile(r"\.\d+(?=\.|\Z)")


class Kind(StrEnum):
    """What is not known."""

    PARAMETER = "parameter"
    VERSION = "version"


class Sighted(msgspec.Struct, kw_only=True):
    """One thing that is not known: where it came, how often, and when first and last."""

    kind: Kind
    action: str
    name: str
    count: int
    first_ns: int
    last_ns: int


class Unfamiliar:
    """All that was seen since the service started; the first `LISTED_MAX` by name, the others by number."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._known: dict[str, Known] = {}
        self._listed: dict[tuple[Kind, str, str], Sighted] = {}
        self.unlisted = 0

    def note(self, kind: Kind, action: str, name: str) -> None:
        """One has come; the log tells of the first of each name."""
        telemetry.numbers.count(meters.API_UNFAMILIAR, (action, kind.value))
        at_ns = self._now_ns()
        short = name[:NAME_MAX_CHARACTERS]
        known = self._listed.get((kind, action, short))
        if known is not None:
            known.count += 1
            known.last_ns = at_ns
        elif len(self._listed) < LISTED_MAX:
            seen = Sighted(kind=kind, action=action, name=short, count=1, first_ns=at_ns, last_ns=at_ns)
            self._listed[kind, action, short] = seen
            telemetry.event("api.unfamiliar", kind=kind.value, action=action, unknown=short)
        else:
            self.unlisted += 1

    def listed(self) -> list[Sighted]:
        """What was seen, the latest first."""
        return sorted(self._listed.values(), key=lambda one: (-one.last_ns, one.action, one.name))

    def parameters(
        self, action: str, declared: Sequence[Parameter[object]], given: Iterable[str], fidelity: Fidelity
    ) -> None:
        """Look at the names of a call's parameters. Raises ApiError InvalidParameter.Format where fidelity is strict."""
        known = self._known.get(action)
        if known is None:
            known = self._known[action] = Known.of(declared)
        names = known.strange(given)
        if names and fidelity is Fidelity.STRICT:
            words = f"{action} has no parameter {', '.join(names[:_TOLD_MAX])} (fidelity = strict)."
            raise ApiError("InvalidParameter.Format", words)
        for name in names:
            self.note(Kind.PARAMETER, action, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The names that an operation takes: those as they are, those with an index, and how what is read as a group begins."""

    plain: frozenset[str]
    indexed: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, declared: Sequence[Parameter[object]]) -> Known:
        """Those of an operation's parameters."""
        names = [name for parameter in declared for name in parameter.names]
        indexed = frozenset(name for name in names if ".N" in name)
        return cls(
            plain=frozenset(names) - indexed | COMMON,
            indexed=indexed,
            prefixes=tuple(name.partition(".N")[0] + "." for name in indexed),
        )

    def strange(self, given: Iterable[str]) -> list[str]:
        """Those of the given names that the operation does not take, in order. Quick where there are none."""
        odd = [name for name in given if name not in self.plain]
        if not odd:
            return odd
        return sorted(
            {
                name[:NAME_MAX_CHARACTERS]
                for name in odd
                if _INDEX.sub(".N", name) not in self.indexed and not name.startswith(self.prefixes)
            }
        )
