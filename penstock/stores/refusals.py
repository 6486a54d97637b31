"""What a store says when it does not do what was asked, as one of the closed set of errors.

Reads status, error code, `x-oss-ec`, and headers; knows the words of OSS and S3. Decides whether waiting helps (by the class
of error) and what a person can do (in the message). Never repeats a request, a signature or a secret.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from penstock.errors import (
    BucketNotFoundError,
    IntegrityError,
    NotSupportedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    StoreError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
    ThrottledError,
    UploadNotFoundError,
)
from penstock.stores import documents
from penstock.stores.digits import number_of

ERROR_MAX_BYTES = 64 * 1024
MESSAGE_MAX = 300

BY_CODE: Mapping[str, type[StoreError]] = {
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchVersion": ObjectNotFoundError,
    "NoSuchBucket": BucketNotFoundError,
    "NoSuchUpload": UploadNotFoundError,
    "PreconditionFailed": PreconditionFailedError,
    "FileAlreadyExists": PreconditionFailedError,
    "ObjectAlreadyExists": PreconditionFailedError,
    "InvalidRange": RangeNotSatisfiableError,
    "BadDigest": IntegrityError,
    "InvalidDigest": IntegrityError,
    "XAmzContentSHA256Mismatch": IntegrityError,
    "XAmzContentChecksumMismatch": IntegrityError,
    "InvalidPart": IntegrityError,  # at Complete: the store has not what it acknowledged, which sending again can mend
    "AccessDenied": PermissionDeniedError,
    "ExpiredToken": PermissionDeniedError,
    "InvalidToken": PermissionDeniedError,
    "TokenRefreshRequired": PermissionDeniedError,
    "InvalidObjectState": StoreRefusedError,  # a 403 that no right can mend: the object is archived
    "SecondLevelDomainForbidden": StoreRefusedError,
    "NotImplemented": NotSupportedError,
    "MethodNotAllowed": NotSupportedError,
    "QuotaExceeded": StoreFullError,  # a 403 of Ceph that no right can mend
    "InsufficientStorageSpace": StoreFullError,
    "XMinioAdminBucketQuotaExceeded": StoreFullError,
    "XMinioStorageFull": StoreFullError,
    "SlowDown": ThrottledError,
    "SlowDownRead": ThrottledError,
    "SlowDownWrite": ThrottledError,
    "ServiceUnavailable": ThrottledError,  # S3 says this for "reduce your request rate"
    "TooManyRequests": ThrottledError,
    "RequestTimeout": StoreUnavailableError,
    "IncompleteBody": StoreUnavailableError,
    "InternalError": StoreUnavailableError,
    "ConditionalRequestConflict": StoreUnavailableError,
    "OperationAborted": StoreUnavailableError,
}
BY_STATUS: Mapping[int, type[StoreError]] = {
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    405: NotSupportedError,
    408: StoreUnavailableError,
    412: PreconditionFailedError,
    416: RangeNotSatisfiableError,
    429: ThrottledError,
    501: NotSupportedError,
    507: StoreFullError,
}
REGION = "check the bucket's region: the endpoint does not name it, or another one was given with --region"
ADVICE: Mapping[str, str] = {
    "NoSuchBucket": "check the bucket's name, endpoint and region",
    "InvalidAccessKeyId": "check the access key id of this bucket",
    "SignatureDoesNotMatch": "check the access key secret of this bucket",
    "AccessDenied": "give the access key the right to do this",
    "RequestTimeTooSkewed": "the clocks of this machine and of the store differ: set this machine's clock",
    "QuotaExceeded": "raise the bucket's quota, or remove objects",
    "InsufficientStorageSpace": "raise the bucket's quota, or remove objects",
    "XMinioAdminBucketQuotaExceeded": "raise the bucket's quota, or remove objects",
    "ExpiredToken": "the temporary credentials have expired: provide new ones",
    "SecurityTokenExpired": "the temporary credentials have expired: provide new ones",
    "InvalidObjectState": "the object is archived: restore it, or set restore_days for this bucket",
    "ObjectNotRestored": "the object is archived: restore it, or set restore_days for this bucket",
    "SecondLevelDomainForbidden": "this service wants the bucket in the host name: use virtual-host style addressing",
    "PermanentRedirect": "the bucket is reached at another endpoint: correct the bucket's endpoint and region",
    "AuthorizationHeaderMalformed": REGION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, as far as an error message needs it."""

    method: str
    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the store said in its error document (or, on HEAD, in a header)."""

    code: str = ""
    message: str = ""
    request_id: str = ""
    endpoint: str = ""


def refusal(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> StoreError:
    """The error for an answer that is not what was expected. `body` may be cut off or empty."""
    said = _said(headers, body)
    request_id = said.request_id or headers.get("x-oss-request-id") or headers.get("x-amz-request-id") or ""
    kind = _kind(asked, status, said.code, headers)
    return kind(
        _sentence(asked, status, said, headers.get("x-oss-ec", ""), request_id),
        bucket=asked.bucket,
        key=asked.key,
        status=status,
        code=said.code,
        request_id=request_id,
        retry_after_s=_retry_after_s(headers),
    )


def delay_s(headers: Mapping[str, str]) -> float | None:
    """For how many seconds OSS held this request back to keep a limit; told with successful answers too."""
    told = headers.get("x-oss-qos-delay-time")  # mostly there is none, and this is asked of every answer
    milliseconds = None if told is None else number_of(told)
    return None if milliseconds is None else milliseconds / 1000


def _kind(asked: Asked, status: int, code: str, headers: Mapping[str, str]) -> type[StoreError]:
    if "true" in {headers.get("x-oss-delete-marker"), headers.get("x-amz-delete-marker")} and status in {404, 405}:
        return ObjectNotFoundError
    if delay_s(headers) is not None and (status == 429 or status >= 500):
        return ThrottledError
    if _is_throttling(code):
        return ThrottledError
    if code in BY_CODE:
        return BY_CODE[code]
    if 300 <= status < 400:
        return StoreUnavailableError if status == 307 else StoreRefusedError
    if status == 404 and not code:
        # Only a HEAD may be silent about what is missing; a 404 without the store's own word comes from something in between.
        return ObjectNotFoundError if asked.method == "HEAD" and asked.key else StoreUnavailableError
    if status in BY_STATUS:
        return BY_STATUS[status]
    return StoreUnavailableError if status >= 500 or status < 300 else StoreRefusedError


def _is_throttling(code: str) -> bool:
    """OSS names each of its limits: QpsLimitExceeded, UploadTrafficRateLimitExceeded, ..."""
    return code.endswith(("QpsLimitExceeded", "QPSLimitExceeded", "RateLimitExceeded")) or code.startswith("Throttl")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    told = number_of(headers.get("retry-after", ""))
    return delay_s(headers) if told is None else float(told)


def _said(headers: Mapping[str, str], body: bytes) -> _Said:
    hidden = headers.get("x-oss-err", "")
    if not body and hidden:
        try:
            body = base64.b64decode(hidden, validate=True)
        except ValueError:
            return _Said()
    if not body.strip():
        return _Said()
    try:
        document = documents.parse(body, max_bytes=ERROR_MAX_BYTES)
    except StoreUnavailableError:
        return _Said()  # an error page of something in between: the status has to do
    return _Said(
        code=_short(document.text("Code"), 100),
        message=_short(document.text("Message"), MESSAGE_MAX),
        request_id=_short(document.text("RequestId"), 100),
        endpoint=_short(document.text("Endpoint"), 200),
    )


def _sentence(asked: Asked, status: int, said: _Said, ec: str, request_id: str) -> str:
    what = (
        f"{asked.method} of {asked.key!r} in bucket {asked.bucket}"
        if asked.key
        else f"{asked.method} of {asked.bucket}"
    )
    answer = " ".join(part for part in (str(status), said.code) if part)
    words = [f"{what}: the store answered {answer}"]
    if said.message:
        words.append(f" ({said.message.rstrip('.')})")
    advice = ADVICE.get(said.code, "")
    if said.endpoint and 300 <= status < 400:
        advice = f"{ADVICE['PermanentRedirect']} (the store names {said.endpoint})"
    elif not advice and 300 <= status < 400:
        advice = "redirects are not followed: correct the bucket's endpoint and region"
    elif not advice and "signing region" in said.message.lower():
        advice = REGION  # OSS says so in words only: its code is InvalidArgument
    elif not advice and not said.code and status in {401, 403}:
        advice = "check the credentials of this bucket and their rights"
    if advice:
        words.append(f"; {advice}")
    told = ", ".join(
        part for part in (f"request id {request_id}" if request_id else "", f"EC {ec}" if ec else "") if part
    )
    return "".join(words) + (f" [{told}]" if told else "")


def _short(text: str, length: int) -> str:
    """One printable line of at most `length` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"
