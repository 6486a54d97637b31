"""From the two paths of a request to the two ends of one file: where they point on a stream, and whether that can exist.

The one-file call and the bulk door both come through here, so that a path means the same to both. String work only.
"""

from __future__ import annotations

from typing import NamedTuple

from penstock.api import paths
from penstock.api.errors import ApiError
from penstock.api.options import PathBase
from penstock.api.streams import Stream
from penstock.model import STREAM_ACTIONS, Direction


class Way(NamedTuple):
    """One file's way: full paths, the other reading of the source ("" = none), and what names the target for everybody.

    A tuple, because there are thousands a second. `marked`: one of the paths could have been read in another way.
    """

    source: str
    target: str
    rival: str
    target_name: str
    marked: bool


class Route:
    """A stream as its files see it."""

    __slots__ = ("_importing", "_source", "_target", "_target_home")

    def __init__(self, stream: Stream, *, file_system_id: str, base: PathBase) -> None:
        """Raises ApiError OperationDenied.InvalidState for a task that is no stream."""
        if stream.action not in STREAM_ACTIONS:
            raise ApiError("OperationDenied.InvalidState", f"The task is {stream.action}: sub-tasks belong to streams.")
        self._importing = stream.direction is Direction.IMPORT
        self._source = paths.Ground(root=stream.source_root, directory=stream.source_directory, base=base)
        self._target = paths.Ground(root=stream.target_root, directory=stream.target_directory, base=base)
        self._target_home = file_system_id if self._importing else stream.bucket

    def way(self, source_path: str, target_path: str) -> Way:
        """The way of a file whose paths are sound. Raises ApiError for a key or a file that cannot exist."""
        source, rival = self._source.read(source_path)
        target, target_rival = self._target.read(target_path)
        if self._importing:
            paths.check_key("SrcFilePath", source)
            paths.check_file_name("DstFilePath", target)
        else:
            paths.check_file_name("SrcFilePath", source)
            paths.check_key("DstFilePath", target)
        return Way(source, target, rival, self._target_home + target, bool(rival or target_rival))
