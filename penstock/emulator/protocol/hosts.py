"""Which bucket a request's host names, and what of its path is the key. Pure rules; refuses with an `OssFault`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from penstock.emulator.protocol import names
from penstock.emulator.protocol.errors import OssFault

_REGION = "[a-z]{2}-[a-z0-9-]+"
# The service's own names, which requests bear that come by a proxy or a resolver, and the name that stays on this machine.
_ENDPOINTS = "|".join(
    [
        r"(?:s3\.)?(?:vpc[0-9]*-)?oss-[a-z0-9-]+\.aliyuncs\.com",  # also -internal, and acceleration
        r"(?:af|ap|cn|eu|me|na|sa|us)-[a-z0-9-]+\.oss\.aliyuncs\.com",  # dual stack
        rf"ep-[a-z0-9-]+\.oss\.{_REGION}\.privatelink\.aliyuncs\.com",
        "localhost",
    ]
)
_SERVICE = re.compile(rf"(?:(?P<bucket>(?!s3\.)[^.]+)\.)?(?:{_ENDPOINTS})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The names beside the service's own: `domain`, beneath which buckets are found, and buckets' own names, in lower case."""

    domain: str | None
    cnames: Mapping[str, str]

    def resource(self, raw_path: bytes, host: str) -> tuple[str, bytes]:
        """Bucket and key: out of the Host header where that names a bucket, out of the path anywhere else.

        Raises OssFault 403 SecondLevelDomainForbidden, 400 InvalidBucketName.
        """
        path = unquote_to_bytes(raw_path).removeprefix(b"/")
        name = host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host
        if name in self.cnames:
            return self.cnames[name], path
        if self.domain and name.endswith(f".{self.domain.lower()}"):
            return name.removesuffix(f".{self.domain.lower()}"), path
        alone = self.domain is not None and name == self.domain.lower()
        known = None if alone else _SERVICE.match(name)
        if known and known.group("bucket"):
            return known.group("bucket"), path
        raw_bucket, _, key = path.partition(b"/")
        if raw_bucket and (alone or (known and name != "localhost")):
            raise OssFault(403, "SecondLevelDomainForbidden", "Name the bucket in the host, not in the path.")
        bucket = raw_bucket.decode("utf-8", "replace")
        if bucket:
            names.check_bucket_name(bucket)
        return bucket, key
