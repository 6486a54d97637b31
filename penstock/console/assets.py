"""What pages look like and are moved by: styles, scripts, pictures; read once, served from memory, kept by browsers for a year.

All of them lie under a path that holds a digest of the whole, so that scripts may import one another by plain relative names
and a new version is never mixed with an old one.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
PACKED = frozenset({".css", ".js", ".svg"})
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file; `packed` is it under gzip, empty where that saves nothing."""

    data: bytes
    packed: bytes
    media_type: str


class Assets:
    """The files beneath one directory."""

    def __init__(self, directory: Path) -> None:
        self._assets = {
            path.relative_to(directory).as_posix(): _read(path)
            for path in sorted(directory.rglob("*"))
            if path.suffix in TYPES
        }
        digest = hashlib.sha256()
        for name, asset in self._assets.items():
            digest.update(name.encode() + b"\0" + hashlib.sha256(asset.data).digest())
        self._digest = digest.hexdigest()[:16]

    def url(self, name: str) -> str:
        """Where a page finds this file. Raises KeyError for one that is not there."""
        if name not in self._assets:
            raise KeyError(name)
        return f"/static/{self._digest}/{name}"

    async def serve(self, request: Request) -> Response:
        """The file that is asked for; one of another version is not there."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None or request.path_params["digest"] != self._digest:
            return Response("There is no such file.\n", 404, media_type="text/plain")
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        if asset.packed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
        return Response(asset.data, headers=headers, media_type=asset.media_type)


def _read(path: Path) -> Asset:
    data = path.read_bytes()
    packed = gzip.compress(data, 6, mtime=0) if path.suffix in PACKED else b""
    return Asset(data=data, packed=packed if len(packed) < len(data) else b"", media_type=TYPES[path.suffix])
