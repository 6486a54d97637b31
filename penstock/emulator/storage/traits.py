"""What belongs to a version beside its bytes and headers: ACL, tags, a link's target, a restored copy. Plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_ACL = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A readable copy of an archived version: from `ready_ns` until `expires_ns` (ns since 1970)."""

    ready_ns: int
    expires_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`acl` "default" means the bucket's. Of an upload: the traits that its version will have."""

    acl: str = DEFAULT_ACL
    tags: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    """Of a symbolic link: the key it points to, percent-encoded or not, as it was given."""
    md5: str = ""
    """Base64 of the whole content's MD5, where the ETag is no MD5 and it is known all the same."""
    sequential: bool = False
    """Of an upload: its parts come one after another."""
    restored: Restored | None = None

    def to_json(self) -> str:
        """Only what differs from the default, so that most versions keep `{}`."""
        told: dict[str, Any] = {}
        if self.acl != DEFAULT_ACL:
            told["acl"] = self.acl
        if self.tags:
            told["tags"] = dict(self.tags)
        if self.target:
            told["target"] = self.target
        if self.md5:
            told["md5"] = self.md5
        if self.sequential:
            told["sequential"] = True
        if self.restored is not None:
            told["restored"] = [self.restored.ready_ns, self.restored.expires_ns]
        return json.dumps(told)


NONE = Traits()


def from_json(text: str) -> Traits:
    """The traits that `to_json` wrote."""
    if text == "{}":
        return NONE
    told = json.loads(text)
    restored = told.pop("restored", None)
    return Traits(**told, restored=Restored(ready_ns=restored[0], expires_ns=restored[1]) if restored else None)
