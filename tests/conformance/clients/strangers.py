"""OSS clients that others wrote, behind the few verbs that all of them have. They share no line with Penstock's own store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import alibabacloud_oss_v2 as oss
import opendal

from tests.fixtures.emulator import EmulatorServer

PART_BYTES = 100 * 1024


class MissingError(Exception):
    """The client says that the object is not there."""


class TakenError(Exception):
    """The client says that the key is taken."""


class RefusedError(Exception):
    """The client says that it may not."""


class UnmetError(Exception):
    """The client says that the condition does not hold."""


class Stranger(Protocol):
    """What the suite asks of a client of one bucket."""

    def put(self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None) -> None: ...
    def create(self, key: str, body: bytes) -> None: ...
    def put_in_parts(self, key: str, body: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def get_range(self, key: str, offset: int, length: int) -> bytes: ...
    def describe(self, key: str) -> tuple[int, Mapping[str, str]]: ...
    def keys(self, prefix: str) -> list[str]: ...
    def copy(self, source: str, target: str) -> None: ...
    def delete(self, key: str) -> None: ...


class VersionedStranger(Stranger, Protocol):
    """What it asks beside of one that knows versions and conditions."""

    def versions(self, prefix: str) -> list[tuple[str, str]]: ...
    def get_version(self, key: str, version: str) -> bytes: ...
    def delete_version(self, key: str, version: str) -> None: ...
    def etag(self, key: str) -> str: ...
    def get_if_match(self, key: str, etag: str) -> bytes: ...
    def get_if_none_match(self, key: str, etag: str) -> bytes: ...


def sdk_client(server: EmulatorServer, signature: str, *, token: str = "") -> oss.Client:
    """The vendor's SDK, one try a request."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        server.access_key_id, server.access_key_secret, token or None
    )
    config.region, config.endpoint, config.signature_version = server.region, server.endpoint, signature
    config.retry_max_attempts = 1
    return oss.Client(config)


class SdkStranger:
    """The vendor's SDK; listings by its paginator, in pages of three."""

    def __init__(self, client: oss.Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        request = oss.PutObjectRequest(bucket=self._bucket, key=key, body=body, metadata=metadata and dict(metadata))
        self._ask(lambda: self._client.put_object(request))

    def create(self, key: str, body: bytes) -> None:
        request = oss.PutObjectRequest(bucket=self._bucket, key=key, body=body, forbid_overwrite=True)
        self._ask(lambda: self._client.put_object(request))

    def put_in_parts(self, key: str, body: bytes) -> None:
        begun = self._client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=self._bucket, key=key))
        parts = []
        for number, start in enumerate(range(0, len(body), PART_BYTES), start=1):
            piece = body[start : start + PART_BYTES]
            sent = self._client.upload_part(
                oss.UploadPartRequest(
                    bucket=self._bucket, key=key, upload_id=begun.upload_id, part_number=number, body=piece
                )
            )
            parts.append(oss.UploadPart(part_number=number, etag=sent.etag))
        self._client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(
                bucket=self._bucket,
                key=key,
                upload_id=begun.upload_id,
                complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
            )
        )

    def get(self, key: str) -> bytes:
        return self._read(oss.GetObjectRequest(bucket=self._bucket, key=key))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        asked = f"bytes={offset}-{offset + length - 1}"
        return self._read(oss.GetObjectRequest(bucket=self._bucket, key=key, range_header=asked))

    def describe(self, key: str) -> tuple[int, Mapping[str, str]]:
        found = self._ask(lambda: self._client.head_object(oss.HeadObjectRequest(bucket=self._bucket, key=key)))
        return found.content_length, dict(found.metadata or {})

    def keys(self, prefix: str) -> list[str]:
        request = oss.ListObjectsV2Request(bucket=self._bucket, prefix=prefix)
        pages = self._client.list_objects_v2_paginator(limit=3).iter_page(request)
        return list(self._ask(lambda: [entry.key for page in pages for entry in page.contents or []]))

    def copy(self, source: str, target: str) -> None:
        self._client.copy_object(
            oss.CopyObjectRequest(bucket=self._bucket, key=target, source_bucket=self._bucket, source_key=source)
        )

    def delete(self, key: str) -> None:
        self._ask(lambda: self._client.delete_object(oss.DeleteObjectRequest(bucket=self._bucket, key=key)))

    def versions(self, prefix: str) -> list[tuple[str, str]]:
        request = oss.ListObjectVersionsRequest(bucket=self._bucket, prefix=prefix)
        pages = self._client.list_object_versions_paginator(limit=3).iter_page(request)
        return [(found.key, found.version_id) for page in pages for found in page.version or []]

    def get_version(self, key: str, version: str) -> bytes:
        return self._read(oss.GetObjectRequest(bucket=self._bucket, key=key, version_id=version))

    def delete_version(self, key: str, version: str) -> None:
        self._client.delete_object(oss.DeleteObjectRequest(bucket=self._bucket, key=key, version_id=version))

    def etag(self, key: str) -> str:
        return str(self._client.head_object(oss.HeadObjectRequest(bucket=self._bucket, key=key)).etag)

    def get_if_match(self, key: str, etag: str) -> bytes:
        return self._read(oss.GetObjectRequest(bucket=self._bucket, key=key, if_match=etag))

    def get_if_none_match(self, key: str, etag: str) -> bytes:
        return self._read(oss.GetObjectRequest(bucket=self._bucket, key=key, if_none_match=etag))

    def _read(self, request: oss.GetObjectRequest) -> bytes:
        return bytes(self._ask(lambda: self._client.get_object(request)).body.content)

    def _ask(self, act: Any) -> Any:
        try:
            return act()
        except oss.exceptions.OperationError as error:
            cause = error.unwrap()
            if cause.status_code == 404:
                raise MissingError from error
            if cause.status_code in {304, 412}:
                raise UnmetError from error
            if cause.status_code == 403:
                raise RefusedError from error
            if cause.code == "FileAlreadyExists":
                raise TakenError from error
            raise


class OpendalStranger:
    """OpenDAL's `oss` service: V1 signatures, path style because the endpoint is an address."""

    def __init__(self, server: EmulatorServer, bucket: str, *, token: str = "") -> None:
        more = {"security_token": token} if token else {}
        self._operator = opendal.Operator(
            "oss",
            bucket=bucket,
            endpoint=server.endpoint,
            addressing_style="path",
            access_key_id=server.access_key_id,
            access_key_secret=server.access_key_secret,
            **more,
        )

    def put(self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        more: dict[str, Any] = {"user_metadata": dict(metadata)} if metadata else {}
        self._ask(lambda: self._operator.write(key, body, **more))

    def create(self, key: str, body: bytes) -> None:
        try:
            self._operator.write(key, body, if_not_exists=True)
        except (opendal.exceptions.ConditionNotMatch, opendal.exceptions.AlreadyExists) as error:
            raise TakenError from error

    def put_in_parts(self, key: str, body: bytes) -> None:
        self._operator.write(key, body, chunk=PART_BYTES)

    def get(self, key: str) -> bytes:
        return bytes(self._ask(lambda: self._operator.read(key)))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return bytes(self._operator.read(key, offset=offset, size=length))

    def describe(self, key: str) -> tuple[int, Mapping[str, str]]:
        found = self._ask(lambda: self._operator.stat(key))
        return found.content_length, found.user_metadata or {}

    def keys(self, prefix: str) -> list[str]:
        listed = self._ask(lambda: [entry.path for entry in self._operator.list(prefix, recursive=True, limit=3)])
        return sorted(listed)

    def copy(self, source: str, target: str) -> None:
        self._operator.copy(source, target)

    def delete(self, key: str) -> None:
        self._ask(lambda: self._operator.delete(key))

    def versions(self, prefix: str) -> list[tuple[str, str]]:
        listed = self._operator.list(prefix, recursive=True, versions=True, limit=3)
        return [(entry.path, entry.metadata.version or "") for entry in listed]

    def get_version(self, key: str, version: str) -> bytes:
        return bytes(self._ask(lambda: self._operator.read(key, version=version)))

    def delete_version(self, key: str, version: str) -> None:
        self._operator.delete(key, version=version)

    def etag(self, key: str) -> str:
        return str(self._operator.stat(key).etag)

    def get_if_match(self, key: str, etag: str) -> bytes:
        return bytes(self._ask(lambda: self._operator.read(key, if_match=etag)))

    def get_if_none_match(self, key: str, etag: str) -> bytes:
        return bytes(self._ask(lambda: self._operator.read(key, if_none_match=etag)))

    @staticmethod
    def _ask(act: Any) -> Any:
        try:
            return act()
        except opendal.exceptions.NotFound as error:
            raise MissingError from error
        except opendal.exceptions.ConditionNotMatch as error:
            raise UnmetError from error
        except opendal.exceptions.PermissionDenied as error:
            raise RefusedError from error
