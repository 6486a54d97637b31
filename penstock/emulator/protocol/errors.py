"""The errors OSS answers with: status, code, message and extra elements. Raised anywhere in the emulator, written by the gateway.

Only what goes over the wire lives here. Messages are our own words; codes and statuses are the protocol's.
"""

from __future__ import annotations

from collections.abc import Mapping

# The codes of causes that clients meet, where they are known. Clients are told not to rely on them.
_CAUSES = {
    "AccessDenied": "0003-00000001",
    "EntityTooSmall": "0042-00000213",
    "FileAlreadyExists": "0026-00000002",
    "InvalidAccessKeyId": "0002-00000902",
    "InvalidObjectName": "0016-00000005",
    "NoSuchBucket": "0015-00000101",
    "NoSuchKey": "0026-00000001",
    "RequestTimeTooSkewed": "0002-00000504",
    "SignatureDoesNotMatch": "0002-00000040",
}


class OssFault(Exception):  # noqa: N818 - "error" is what the client sees; this is its cause
    """A request that OSS refuses. `elements` are added to the error document, `headers` to the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        elements: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        ec: str = "",
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.elements = dict(elements or {})
        self.headers = dict(headers or {})
        self.ec = ec or _CAUSES.get(code, "")


class ClientGoneError(Exception):
    """The client hung up before its request was whole; there is nobody to answer."""


def not_implemented(what: str) -> OssFault:
    """501: this emulator does not do `what`. Loud on purpose: silence would look like success."""
    return OssFault(501, "NotImplemented", f"The emulator does not implement {what}.", elements={"Header": what})


def disk_full() -> OssFault:
    """507: the emulator's disk has no room. OSS has no such answer; clients that try 5xx again see room when there is some."""
    return OssFault(507, "InsufficientStorage", "The disk that holds the emulator's buckets is full; delete something.")


def invalid_argument(message: str, *, name: str = "", value: str = "") -> OssFault:
    """400 InvalidArgument, naming the argument where there is one."""
    return OssFault(
        400,
        "InvalidArgument",
        message,
        elements={"ArgumentName": name, "ArgumentValue": value[:1024]} if name else None,
    )


def malformed_xml(message: str) -> OssFault:
    """400 MalformedXML: the request's document is not what the operation takes."""
    return OssFault(400, "MalformedXML", message)


def no_such_bucket(name: str) -> OssFault:
    """404: there is no bucket of this name."""
    return OssFault(404, "NoSuchBucket", "The bucket does not exist.", elements={"BucketName": name})


def no_such_key(key: bytes, headers: Mapping[str, str] | None = None) -> OssFault:
    """404: the key has no object, or its newest version is a delete marker (then `headers` say so)."""
    return OssFault(
        404,
        "NoSuchKey",
        "The object does not exist.",
        elements={"Key": key.decode("utf-8", "replace")},
        headers=headers,
    )


def no_such_version(key: bytes, version_id: str) -> OssFault:
    """404: the key has no such version."""
    return OssFault(
        404,
        "NoSuchVersion",
        "The version does not exist.",
        elements={"Key": key.decode("utf-8", "replace"), "VersionId": version_id},
    )


def no_such_upload(upload_id: str) -> OssFault:
    """404: the upload was aborted, completed, or never there."""
    return OssFault(404, "NoSuchUpload", "The multipart upload does not exist.", elements={"UploadId": upload_id})


def precondition_failed(condition: str) -> OssFault:
    """412: one of the If-* headers does not hold."""
    return OssFault(
        412, "PreconditionFailed", f"The condition {condition} does not hold.", elements={"Condition": condition}
    )


def file_already_exists(key: bytes) -> OssFault:
    """409: overwriting was forbidden and there is an object."""
    return OssFault(
        409,
        "FileAlreadyExists",
        "The object exists and may not be overwritten.",
        elements={"Key": key.decode("utf-8", "replace")},
    )
