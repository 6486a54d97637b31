"""The directories of filesets, as operations ask for them: a file system's answer, or the refusal that it means.

Asks `penstock.transfer.filesetdir` from an errand's thread, and aside where a mount may hang. Decides nothing about ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.api.errors import ApiError
from penstock.api.operation import Desk
from penstock.model import FileSystem
from penstock.transfer.aside import ASIDE
from penstock.transfer.filesetdir import Found, Ground
from penstock.transfer.root import may_hang

Question = Callable[[FileSystem, str], Ground]

_REFUSALS: Mapping[Found, tuple[str, str]] = {
    Found.EXISTS: (
        "OperationDenied.AlreadyExists",
        "There is something at FileSystemPath already; a fileset begins as a new directory.",
    ),
    Found.NOT_EMPTY: (
        "OperationDenied.DependencyViolation",
        "The fileset's directory is not empty. Files are never removed with it: empty the directory first.",
    ),
    Found.NO_PARENT: (
        "InvalidFileSystemPath.ParentNotFound",
        "The directory above FileSystemPath does not exist in the file system; make it first.",
    ),
    Found.PARENT_IS_FILE: (
        "InvalidFileSystemPath.NotDirectory",
        "Something on the way to FileSystemPath is no directory.",
    ),
    Found.OVER_A_LINK: (
        "InvalidFilesetPath.InvalidParameter",
        "FileSystemPath leads over a symbolic link; name the directory by its own path.",
    ),
}


async def ask(desk: Desk, file_system: FileSystem, question: Question, path: str) -> None:
    """Raises ApiError unless the answer is DONE."""
    limit_s = desk.options.file_system_time_s

    def asked() -> Ground:
        if may_hang(file_system):
            return ASIDE.ask(question, file_system, path, limit_s=limit_s)
        return question(file_system, path)

    try:
        ground = await desk.file_systems.ask(file_system.file_system_id, asked, limit_s=limit_s)
    except TimeoutError as error:
        raise _unavailable(desk, "The file system did not answer in time.") from error
    if ground.found in _REFUSALS:
        raise ApiError(*_REFUSALS[ground.found])
    if ground.found is not Found.DONE:
        raise _unavailable(desk, f"The file system did not do it: {ground.words}.")


def _unavailable(desk: Desk, words: str) -> ApiError:
    return ApiError("ServiceUnavailable", words, retry_after_s=desk.options.throttled_retry_after_s)
