"""Refusals in the vendor's words: its codes with their HTTP statuses as data, and how our own errors become them.

Messages are our own sentences. Nothing here reads a request or touches the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.errors import (
    BucketNotFoundError,
    CatalogError,
    CatalogUnavailableError,
    ConflictError,
    DataFlowNotFoundError,
    DeletionProtectedError,
    DependencyViolationError,
    FilesetExistsError,
    FilesetInUseError,
    FilesetNotFoundError,
    FileSystemNotFoundError,
    InvalidNextTokenError,
    InvalidStateError,
    NestedFilesetError,
    NestedRefreshPathError,
    NonceUsedError,
    NotSupportedError,
    PenstockError,
    PermissionDeniedError,
    RefreshPathExistsError,
    RefreshPathNotFoundError,
    StoreError,
    StoreRefusedError,
    SubTaskNotFoundError,
    TaskNotFoundError,
    TokenMismatchError,
    TooManyFilesetsError,
    TooManyRefreshPathsError,
    TooManyWaitingError,
    VersioningRequiredError,
)

STATUSES: Mapping[str, int] = {
    # the request itself
    "IdempotentParameterMismatch": 400,
    "IllegalCharacters": 400,
    "IncompleteSignature": 400,
    "InternalError": 500,
    "InvalidAccessKeyId.Inactive": 400,
    "InvalidAccessKeyId.NotFound": 404,
    "InvalidApi.NotFound": 404,
    "InvalidParameter.Format": 400,
    "InvalidSecurityToken.MismatchWithAccessKey": 400,
    "InvalidSignatureMethod": 400,
    "InvalidTimeStamp.Expired": 400,
    "InvalidTimeStamp.Format": 400,
    "Forbidden.RAM": 403,
    "NotImplemented": 501,
    "RequestEntityTooLarge": 413,
    "RequestHeaderTooLarge": 431,
    "RequestTimeout": 408,
    "RequestURITooLong": 414,
    "ServiceTimeout": 504,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 400,
    "SignatureNonceUsed": 400,
    "Throttling.User": 400,
    "UnsupportedHTTPMethod": 400,
    # parameters
    "InvalidAutoRefresh.TooManyAutoRefreshes": 404,
    "InvalidDataType.NotSupported": 404,
    "InvalidDescription.InvalidFormat": 404,
    "InvalidFilterParam": 404,
    "InvalidFilterValue": 404,
    "InvalidParameter.InvalidFormat": 404,
    "InvalidParameter.InvalidMaxResults": 404,
    "InvalidParameter.InvalidNextToken": 404,
    "InvalidParameter.SizeTooLarge": 404,
    "InvalidRefreshInterval.OutOfBounds": 404,
    "InvalidRefreshPath.AlreadyExist": 404,
    "InvalidRefreshPath.Duplicated": 404,
    "InvalidRefreshPath.InvalidParameter": 404,
    "InvalidRefreshPath.NotFound": 404,
    "InvalidRefreshPath.TooManyPaths": 404,
    "InvalidRefreshPolicy.InvalidParameter": 404,
    "InvalidSourceSecurityType.NotSupport": 404,
    "InvalidSrcTaskId.NotFound": 404,
    "InvalidSrcTaskId.TaskIdInvalid": 404,
    "InvalidSrcTaskId.TaskIdNotFound": 404,
    "InvalidStatus.ResourceMismatch": 403,
    "InvalidTaskAction.NotSupported": 404,
    "InvalidTaskAction.PermissionDenied": 404,
    "InvalidThroughput.OutOfBounds": 404,
    # things and their states
    "InvalidDataFlow.NotFound": 404,
    "InvalidFileSystem.NotFound": 404,
    "InvalidFileSystemPath.InvalidCharacters": 404,
    "InvalidFileSystemPath.NotDirectory": 404,
    "InvalidFileSystemPath.NotFound": 404,
    "InvalidFileSystemPath.ParentNotFound": 404,
    "InvalidFilesetPath.InvalidParameter": 404,
    "InvalidFilesystemVersion.NotSupport": 400,
    "InvalidFsetId.NotFound": 404,
    "InvalidOperation.DeletionProtection": 403,
    "InvalidSubTaskId.NotFound": 404,
    "InvalidTaskId.NotFound": 404,
    "OperationDenied.AlreadyExists": 403,
    "OperationDenied.AutoRefreshNotSupport": 403,
    "OperationDenied.ConflictOperation": 403,
    "OperationDenied.DataFlowNotSupported": 403,
    "OperationDenied.DependBucketTag": 403,
    "OperationDenied.DependMountpoint": 403,
    "OperationDenied.DependencyViolation": 403,
    "OperationDenied.DependFset": 403,
    "OperationDenied.FilesetNotSupported": 403,
    "OperationDenied.FsetAlreadyInUse": 403,
    "OperationDenied.InvalidState": 403,
    "OperationDenied.NestedDir": 403,
    "OperationDenied.TooManyDepths": 403,
    "OperationDenied.TooManyFilesets": 403,
    # the source storage
    "AssumeRoleFailed": 400,
    "DataFlow.Bucket.AccessDenied": 403,
    "DataFlow.Bucket.NotExist": 404,
    "DataFlow.Bucket.RegionUnmatched": 400,
    "InvalidSourceStorage.InvalidRegion": 404,
    "InvalidSourceStorage.InvalidParameter": 404,
    "InvalidSourceStorage.NeedVersioning": 404,
    "InvalidSourceStorage.NotFound": 404,
    "InvalidSourceStorage.NotSupport": 404,
    "InvalidSourceStorage.PermissionDenied": 404,
    "InvalidSourceStorage.Unreachable": 404,
}
"""Every code that this API answers, but `Missing<Parameter>` (400)."""


class ApiError(Exception):
    """A refusal as it goes over the wire. `retry_after_s` is sent as `x-acs-retry-after`, which SDKs honour."""

    def __init__(self, code: str, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = 400 if code.startswith("Missing") else STATUSES[code]
        self.message = message
        self.retry_after_s = retry_after_s


def missing(name: str, *, code: str = "") -> ApiError:
    """A required parameter is absent or empty; `code` where the vendor writes another one than `Missing<name>`."""
    return ApiError(code or f"Missing{name}", f"{name} is required here and was not given.")


def illegal_characters(name: str, reason: str) -> ApiError:
    """A value holds what may not stand there; the value itself is not repeated."""
    return ApiError("IllegalCharacters", f"{name} holds characters that are not allowed: {reason}.")


def invalid_format(name: str, reason: str) -> ApiError:
    """A value has the wrong shape, length or range."""
    return ApiError("InvalidParameter.InvalidFormat", f"{name} is not as it should be: {reason}.")


_CATALOG_CODES: tuple[tuple[type[CatalogError], str], ...] = (
    (NonceUsedError, "SignatureNonceUsed"),
    (FileSystemNotFoundError, "InvalidFileSystem.NotFound"),
    (DataFlowNotFoundError, "InvalidDataFlow.NotFound"),
    (TaskNotFoundError, "InvalidTaskId.NotFound"),
    (SubTaskNotFoundError, "InvalidSubTaskId.NotFound"),
    (FilesetNotFoundError, "InvalidFsetId.NotFound"),
    (FilesetExistsError, "OperationDenied.AlreadyExists"),
    (FilesetInUseError, "OperationDenied.FsetAlreadyInUse"),
    (NestedFilesetError, "OperationDenied.NestedDir"),
    (TooManyFilesetsError, "OperationDenied.TooManyFilesets"),
    (DeletionProtectedError, "InvalidOperation.DeletionProtection"),
    (InvalidStateError, "OperationDenied.InvalidState"),
    (DependencyViolationError, "OperationDenied.DependencyViolation"),
    (ConflictError, "OperationDenied.ConflictOperation"),
    (RefreshPathNotFoundError, "InvalidRefreshPath.NotFound"),
    (RefreshPathExistsError, "InvalidRefreshPath.AlreadyExist"),
    (NestedRefreshPathError, "OperationDenied.NestedDir"),
    (TooManyRefreshPathsError, "InvalidRefreshPath.TooManyPaths"),
    (VersioningRequiredError, "InvalidSourceStorage.NeedVersioning"),
    (TokenMismatchError, "IdempotentParameterMismatch"),
    (TooManyWaitingError, "Throttling.User"),
    (InvalidNextTokenError, "InvalidParameter.InvalidNextToken"),
    (CatalogUnavailableError, "ServiceUnavailable"),
)

_STORE_CODES: tuple[tuple[type[StoreError], str], ...] = (
    (BucketNotFoundError, "InvalidSourceStorage.NotFound"),
    (PermissionDeniedError, "InvalidSourceStorage.PermissionDenied"),
    (NotSupportedError, "InvalidSourceStorage.NotSupport"),
    (StoreRefusedError, "InvalidSourceStorage.InvalidParameter"),
    (StoreError, "InvalidSourceStorage.Unreachable"),
)

MAPPED = frozenset(code for _, code in (*_CATALOG_CODES, *_STORE_CODES))
"""The codes that errors of the rooms below are answered by."""


def from_penstock(error: PenstockError, *, retry_after_s: int) -> ApiError | None:
    """The refusal for an error of the rooms below; None when it is none of those a caller can cause."""
    for table in (_CATALOG_CODES, _STORE_CODES):
        for kind, code in table:
            if isinstance(error, kind):
                waiting = code in {"Throttling.User", "ServiceUnavailable"}
                return ApiError(code, str(error), retry_after_s=retry_after_s if waiting else 0)
    return None
