"""Taking a request's body in: declared length, Content-MD5 and crc64 are checked before anything names it.

Calls the vault. What it returns is durable, and must be named by a commit or forgotten.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument
from penstock.emulator.service import Service
from penstock.emulator.storage.vault import Blob

PUT_MAX_BYTES = 5 * 1024**3


async def take_in(service: Service, call: Call) -> Blob:
    """The body as a blob.

    Raises OssFault 411 MissingContentLength, 400 EntityTooLarge, 400 InvalidDigest, ClientGoneError, OSError.
    """
    declared = call.body.length_bytes
    if declared is None and "chunked" not in call.header("transfer-encoding").lower():
        raise OssFault(411, "MissingContentLength", "A body needs Content-Length, or chunked transfer encoding.")
    too_large = OssFault(
        400, "EntityTooLarge", "The body is too large.", elements={"MaxSizeAllowed": str(PUT_MAX_BYTES)}
    )
    if declared is not None and declared > PUT_MAX_BYTES:
        raise too_large
    expected_md5 = _content_md5(call)
    blob = await service.vault.take_in(call.body, size_max_bytes=PUT_MAX_BYTES, too_large=too_large)
    try:
        if declared is not None and blob.size_bytes != declared:
            raise OssFault(400, "IncompleteBody", f"{blob.size_bytes} of {declared} bytes arrived.")
        if expected_md5 is not None and expected_md5 != blob.md5:
            raise _other_digest(expected_md5, blob.md5)
        _check_crc64(call, blob)
    except OssFault:
        service.vault.forget(blob)
        raise
    return blob


async def read_document(call: Call, limit_bytes: int) -> bytes:
    """The body of a request that is a document. Raises OssFault 400 MalformedXML (too long), InvalidDigest."""
    expected = _content_md5(call)
    body = await call.body.whole(limit_bytes)
    found = hashlib.md5(body, usedforsecurity=False).digest()
    if expected is not None and expected != found:
        raise _other_digest(expected, found)
    return body


def digest_headers(blob: Blob) -> dict[str, str]:
    """What a Put and an UploadPart answer about the bytes."""
    return {
        "ETag": f'"{blob.md5.hex().upper()}"',
        "Content-MD5": _base64(blob.md5),
        "x-oss-hash-crc64ecma": str(blob.crc64),
    }


def _content_md5(call: Call) -> bytes | None:
    text = call.headers.get("content-md5")
    if not text:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise OssFault(
            400, "InvalidDigest", "Content-MD5 is no base64 of 16 bytes.", elements={"Content-MD5": text[:256]}
        )
    return digest


def _other_digest(expected: bytes, found: bytes) -> OssFault:
    return OssFault(
        400,
        "InvalidDigest",
        "Content-MD5 is not that of the body.",
        elements={"ExpectedDigest": _base64(expected), "CalculatedDigest": _base64(found)},
    )


def _check_crc64(call: Call, blob: Blob) -> None:
    text = call.headers.get("x-oss-hash-crc64ecma")
    if text is not None and text.strip() != str(blob.crc64):
        raise invalid_argument("x-oss-hash-crc64ecma is not that of the body.", name="x-oss-hash-crc64ecma", value=text)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
