"""The closed set of errors that cross a room's door.

Every room raises only these; what a library or the kernel raises is mapped where it enters. An error says what happened,
whether waiting can help, and what a person can do. Nothing here knows HTTP statuses of the API (`penstock.api.errors` maps).
"""

from __future__ import annotations

from enum import StrEnum


class PenstockError(Exception):
    """The root of the closed set. `str(error)` is a sentence a person can act on."""


class SettingsError(PenstockError):
    """The configuration, the command line or HOME is not usable as it is; the message names the mending step."""


class HomeExistsError(SettingsError):
    """`init` was asked to make a HOME where there is something already; nothing was changed."""


class HomeInUseError(SettingsError):
    """Another service, or a mover of one that has just died, still holds HOME."""


class LeftBehindError(PenstockError):
    """The service has ended as it was asked to, but processes of it hang in a file system and are there still."""


class ApiRefusedError(PenstockError):
    """The API answered a call of ours with an error; `hint` is its advice, empty where it gave none.

    `retry_after_s` is how long it asks to be left alone before the same call; 0 where it does not ask.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        request_id: str = "",
        hint: str = "",
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.hint = hint
        self.retry_after_s = retry_after_s


class ApiUnreachableError(PenstockError):
    """No answer of the API, or none that can be read: what became of a call that changes something is unknown."""


class NotReadyError(PenstockError):
    """A dataflow or a stream cannot take files as it is (stopped, misconfigured, cancelled); the message says what to do."""


class FileRefusedError(ApiRefusedError):
    """The API refused one file (its path, its condition); the stream takes others."""


class NotMovedError(PenstockError):
    """Files ended otherwise than COMPLETE. `failures` holds the first of them, each as `source: status: words`."""

    def __init__(self, message: str, *, failures: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.failures = failures


class SubTaskGoneError(PenstockError):
    """The service has no such sub-task any more: its dataflow was deleted, or its history is over."""


class WaitOverError(PenstockError, TimeoutError):
    """What was waited for has not ended in the time that was given; it goes on all the same."""


# ---------------------------------------------------------------------------------------------------------------- stores


class StoreError(PenstockError):
    """A request to an object store did not do what it should.

    `waiting_helps` tells whether the same request may succeed later (stores never retry by themselves);
    `retry_after_s` is the store's own wish, if it told one; `request_id` is the store's, for its support desk.
    """

    waiting_helps: bool = False

    def __init__(
        self,
        message: str,
        *,
        bucket: str = "",
        key: str = "",
        status: int = 0,
        code: str = "",
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.bucket = bucket
        self.key = key
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class ObjectNotFoundError(StoreError):
    """The key has no object (or its newest version is a delete marker)."""


class BucketNotFoundError(StoreError):
    """The store definitely says that there is no such bucket."""


class UploadNotFoundError(StoreError):
    """The multipart upload is gone: aborted, completed, or never there."""


class PreconditionFailedError(StoreError):
    """A precondition of the request did not hold: the object exists, or is another one than named."""


class PermissionDeniedError(StoreError):
    """The store refused the credentials, or the credentials lack the right. Retried slowly: rights can be mended."""


class RangeNotSatisfiableError(StoreError):
    """The asked range lies outside of the object."""


class SizeUntoldError(StoreError):
    """The answer does not say how long the object is; asked in another way the store may tell."""


class NotSupportedError(StoreError):
    """The store lacks this ability."""


class StoreRefusedError(StoreError):
    """Any other definite refusal (4xx): repeating the same request cannot help."""


class IntegrityError(StoreError):
    """Bytes arrived or were stored that differ from what was sent; sending again may help."""

    waiting_helps = True


class ThrottledError(StoreError):
    """The store asks to slow down (429, 503 SlowDown, `x-oss-qos-delay-time`)."""

    waiting_helps = True


class StoreFullError(StoreError):
    """The bucket's quota, or the store's space, is used up."""

    waiting_helps = True


class StoreUnavailableError(StoreError):
    """No answer, a broken answer, or a 5xx: the outcome of a request that changes something is unknown."""

    waiting_helps = True


class OffTopicError(StoreUnavailableError):
    """The answer is about something else than was asked: the store does not know the question, or something is in between."""


class StoreSilentError(StoreUnavailableError):
    """The store has answered nothing for a while, whoever asked; this request was not sent at all."""


# -------------------------------------------------------------------------------------------------------------- transfer


class FailureCode(StrEnum):
    """Why one file did not move: the `Code` in front of a sub-task's ErrorMsg (`Code: words a person can act on`)."""

    SOURCE_NOT_FOUND = "SourceNotFound"
    SOURCE_IS_DIRECTORY = "SourceIsDirectory"
    SOURCE_NOT_REGULAR = "SourceNotRegular"
    SOURCE_IS_SYMLINK = "SourceIsSymlink"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_ARCHIVED = "SourceArchived"
    AMBIGUOUS_SOURCE = "AmbiguousSource"
    CONDITION_NOT_MET = "ConditionNotMet"
    TARGET_IS_DIRECTORY = "TargetIsDirectory"
    TARGET_NOT_DIRECTORY = "TargetParentIsNotDirectory"
    TARGET_NOT_REGULAR = "TargetNotRegular"
    BASE_NOT_FOUND = "FileSystemPathNotFound"
    OUTSIDE_FILE_SYSTEM = "OutsideFileSystem"
    RESERVED_NAME = "ReservedName"
    HELPER_NAME_TAKEN = "HelperNameTaken"
    NAME_TOO_LONG = "NameTooLong"
    FILE_TOO_LARGE = "FileTooLarge"
    PERMISSION_DENIED = "PermissionDenied"
    NO_SPACE = "NoSpace"
    READ_ONLY = "ReadOnlyFileSystem"
    IO_ERROR = "InputOutputError"
    FILE_SYSTEM_UNAVAILABLE = "FileSystemUnavailable"
    BUCKET_NOT_REGISTERED = "BucketNotRegistered"
    BUCKET_NOT_FOUND = "BucketNotFound"
    BUCKET_ACCESS_DENIED = "BucketAccessDenied"
    STORE_REFUSED = "StoreRefused"
    STORE_THROTTLED = "StoreThrottled"
    STORE_UNAVAILABLE = "StoreUnavailable"
    NOT_SUPPORTED = "NotSupported"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    BAD_OBJECT_LEFT = "BadObjectLeft"
    MOVER_DIED = "MoverDied"
    WAITING_FOR_TURN = "WaitingForTurn"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    INTERNAL = "InternalError"


class TransferError(PenstockError):
    """One file cannot be moved now; `waiting_helps` tells the engine whether another attempt makes sense."""

    def __init__(
        self, code: FailureCode, message: str, *, waiting_helps: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.waiting_helps = waiting_helps
        self.retry_after_s = retry_after_s


class StoppedError(PenstockError):
    """The stop signal was seen: the work ends here, cleanly, on behalf of a cancel or a drain."""


class FencedError(PenstockError):
    """This attempt no longer owns its sub-task: it must stop without touching anything that others may see."""


# --------------------------------------------------------------------------------------------------------------- catalog


class CatalogError(PenstockError):
    """A verb of the catalog refused; nothing was changed."""


class FileSystemNotFoundError(CatalogError):
    """No such file system, or none that this caller may see."""


class DataFlowNotFoundError(CatalogError):
    """No such dataflow in this file system."""


class TaskNotFoundError(CatalogError):
    """No such task in this dataflow."""


class SubTaskNotFoundError(CatalogError):
    """No such sub-task in this task."""


class FilesetNotFoundError(CatalogError):
    """No such fileset in this file system."""


class FilesetExistsError(CatalogError):
    """A fileset has this very path."""


class FilesetInUseError(CatalogError):
    """Another dataflow is bound to it."""


class NestedFilesetError(CatalogError):
    """A fileset would lie in another one."""


class TooManyFilesetsError(CatalogError):
    """The bound on the filesets of a file system is reached."""


class DeletionProtectedError(CatalogError):
    """Its deletion protection is on."""


class InvalidStateError(CatalogError):
    """The thing exists, but its status does not allow this step."""


class DependencyViolationError(CatalogError):
    """Something else depends on it, or a limit on how many there may be is reached."""


class ConflictError(CatalogError):
    """It contradicts something that exists (a path bound to another bucket)."""


class RefreshPathNotFoundError(CatalogError):
    """The dataflow has no such refresh path."""


class RefreshPathExistsError(CatalogError):
    """The dataflow has that refresh path already."""


class NestedRefreshPathError(CatalogError):
    """A refresh path lies within another one."""


class TooManyRefreshPathsError(CatalogError):
    """The dataflow would have more refresh paths than it may."""


class VersioningRequiredError(CatalogError):
    """A second dataflow on one bucket needs the bucket's versioning."""


class TokenMismatchError(CatalogError):
    """The ClientToken was used before with other parameters."""


class NonceUsedError(CatalogError):
    """The signature nonce was used before."""


class TooManyWaitingError(CatalogError):
    """The bound on waiting sub-tasks is reached; the caller should come back later."""


class InvalidNextTokenError(CatalogError):
    """The NextToken is malformed or belongs to other filters."""


class CatalogUnavailableError(CatalogError):
    """The database cannot take or answer anything now (full, locked, damaged); nothing was accepted."""
