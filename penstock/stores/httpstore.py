"""The verbs of a store over HTTP, common to OSS and S3; a `Dialect` holds what differs.

Calls `exchange` for every request and `answers` for every answer. Never retries, never keeps a body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from penstock.errors import (
    IntegrityError,
    ObjectNotFoundError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    UploadNotFoundError,
)
from penstock.stores import answers, documents, guarding, probing
from penstock.stores.base import (
    Abilities,
    Buffer,
    ByteRange,
    Checksum,
    CreateOnly,
    Limits,
    Listing,
    ObjectInfo,
    ObjectStream,
    Part,
    Precondition,
    PutResult,
    Started,
    StoreOptions,
    StreamedBody,
    Upload,
    Version,
    Versioning,
)
from penstock.stores.dialect import Dialect
from penstock.stores.exchange import Exchange
from penstock.stores.guarding import Guard, Guarding
from penstock.stores.manner import Manner
from penstock.stores.pacer import Weight
from penstock.stores.pending import Pending
from penstock.stores.response import Response
from penstock.stores.stops import Stops
from penstock.stores.stream import Stream, lengths

PAGE_MAX = 1000
COMPLETE_PATIENCE_S = 300.0
"""Stores put thousands of parts together before they answer."""
ANSWER_MAX_BYTES = 64 * 1024
UNDER_WAY = "RestoreAlreadyInProgress"
NO_TAGS = frozenset({"NoSuchTagSet", "NoSuchTagSetError"})
OF_PARTS = ("ListParts", "ListMultipartUploadResult")
"""What a list of parts is called; the second by early Ceph RGW."""
OF_VERSIONS = ("Versions", "ListBucketResult")
"""What a list of versions is called; Google's is called as one of objects."""


class HttpStore:
    """One bucket. Thread-safe: all state is the pool of connections, and a note on the last whole answer."""

    def __init__(
        self,
        *,
        dialect: Dialect,
        exchange: Exchange,
        abilities: Abilities,
        random_name: Callable[[], str],
        manner: Manner | None = None,
        options: StoreOptions,
        guard: Guarding | None = None,
    ) -> None:
        self._manner = manner or Manner()
        self._dialect = dialect
        self._exchange = exchange
        self._abilities = abilities
        self._random_name = random_name
        self._options = options
        self._guard = guard or guarding.guarding_of(abilities)
        self._initiated = {"content-type": "application/octet-stream", **options.export_headers}
        self._put = {**self._initiated, **options.complete_headers}

    @property
    def bucket(self) -> str:
        return self._exchange.bucket

    @property
    def limits(self) -> Limits:
        return self._dialect.limits

    @property
    def abilities(self) -> Abilities:
        return self._abilities

    @property
    def options(self) -> StoreOptions:
        return self._options

    def heeding(self, stops: Callable[[], bool], forsakes: Callable[[], bool] | None = None) -> HttpStore:
        return HttpStore(
            dialect=self._dialect,
            exchange=self._exchange.heeding(Stops(soon=stops, late=forsakes or stops)),
            abilities=self._abilities,
            random_name=self._random_name,
            manner=self._manner,
            options=self._options,
            guard=self._guard,
        )

    # -------------------------------------------------------------------------------------------------------- objects

    def head(self, key: str, *, version_id: str = "") -> ObjectInfo:
        with self._exchange.naming(key):
            response = self._exchange.ask("HEAD", self._usable(key), query=_version(version_id))
            with response:
                size = answers.length_of(response.headers)
                return answers.object_info(key, response.headers, self._dialect.prefix, size_bytes=size)

    def get(
        self, key: str, *, version_id: str = "", byte_range: ByteRange | None = None, if_match: str = ""
    ) -> AbstractContextManager[ObjectStream]:
        headers = self._getting(byte_range, if_match)
        begun = self._exchange.begin(
            "GET", self._usable(key), query=_version(version_id), headers=headers, expected=(200, 206)
        )
        return self._opened(begun.answer(), key, byte_range)

    def asks_whole(self) -> bool:
        return self._manner.asks_whole()

    @property
    def is_warm(self) -> bool:
        return self._exchange.is_warm

    def begin_get(
        self, key: str, *, version_id: str = "", byte_range: ByteRange | None = None, if_match: str = ""
    ) -> Started[AbstractContextManager[ObjectStream]] | None:
        headers = self._getting(byte_range, if_match)
        begun = self._exchange.try_begin(
            "GET", self._usable(key), query=_version(version_id), headers=headers, expected=(200, 206)
        )
        return None if begun is None else Pending(begun, lambda response: self._opened(response, key, byte_range))

    def put(
        self,
        key: str,
        body: Sequence[Buffer] | StreamedBody,
        *,
        crc64: int,
        metadata: Mapping[str, str],
        precondition: Precondition,
    ) -> PutResult:
        guard = self._guard(body)
        headers = self._putting(guard, metadata, precondition)
        begun = self._exchange.begin("PUT", self._usable(key), headers=headers, body=body, expected=(200,))
        return self._stored(begun.answer(), key, guard.md5, crc64)

    def begin_put(
        self,
        key: str,
        body: Sequence[Buffer],
        *,
        crc64: int,
        metadata: Mapping[str, str],
        precondition: Precondition,
    ) -> Started[PutResult] | None:
        guard = self._guard(body)
        md5, headers = guard.md5, self._putting(guard, metadata, precondition)
        begun = self._exchange.try_begin("PUT", self._usable(key), headers=headers, body=body, expected=(200,))
        return None if begun is None else Pending(begun, lambda response: self._stored(response, key, md5, crc64))

    def delete(self, key: str, *, version_id: str = "") -> None:
        try:
            response = self._exchange.ask("DELETE", self._usable(key), query=_version(version_id), expected=(200, 204))
        except ObjectNotFoundError:
            return
        with response:
            response.read_bounded(ANSWER_MAX_BYTES)

    def restore(self, key: str, *, version_id: str = "") -> None:
        query = {"restore": "", **_version(version_id)}
        headers = {"content-type": "application/xml"}
        body = [documents.restore_document(self._options.restore_days)]
        try:
            response = self._exchange.ask(
                "POST", self._usable(key), query=query, headers=headers, body=body, expected=(200, 202)
            )
        except StoreRefusedError as error:
            if error.code == UNDER_WAY:
                return
            raise
        with response:
            response.read_bounded(ANSWER_MAX_BYTES)

    # ------------------------------------------------------------------------------------------------------ multipart

    def initiate(self, key: str, *, metadata: Mapping[str, str]) -> str:
        query = {"uploads": "", **self._encoding()}
        with self._exchange.naming(key):
            document, _ = self._exchange.document(
                "POST",
                self._usable(key),
                about=("InitiateMultipartUpload",),
                query=query,
                headers={**self._initiated, **self._metadata(metadata), **self._checksum_wanted()},
            )
            upload_id = document.text("UploadId")
            if not upload_id:
                raise StoreUnavailableError("the store began a multipart upload but told no upload id")
            told = document.text("Key", key)
            # XML cannot carry every key, so only one that it carries for certain is compared.
            if key.isprintable() and key not in {told, self._dialect.decode(told)}:
                raise StoreUnavailableError("the store told the upload id of another key")
            return upload_id

    def put_part(
        self, key: str, upload_id: str, number: int, body: Sequence[Buffer] | StreamedBody, *, crc64: int | None
    ) -> Part:
        query = {"partNumber": str(number), "uploadId": self._known(key, upload_id)}
        guard = self._guard(body)
        with _of_upload():
            response = self._exchange.ask("PUT", self._usable(key), query=query, headers=guard.headers, body=body)
        with self._exchange.naming(key), response:
            response.read_bounded(ANSWER_MAX_BYTES)
            etag = answers.etag_of(response.headers)
            told = answers.crc64_of(response.headers)
            self._compare(f"part {number} of {key!r}", etag, guard.md5, told, crc64)
            return Part(number=number, etag=etag, size_bytes=_size(body), crc64=told, checksum=guard.checksum)

    def list_parts(self, key: str, upload_id: str) -> Iterator[Part]:
        query = {"uploadId": self._known(key, upload_id), "max-parts": str(PAGE_MAX), **self._encoding()}
        with _of_upload():
            markers = {"part-number-marker": "NextPartNumberMarker"}
            for document in self._pages(self._usable(key), OF_PARTS, query, markers):
                yield from answers.parts(document, guarding.element_of(self._abilities.checksum))

    def list_uploads(self, *, prefix: str) -> Iterator[Upload]:
        query = {"uploads": "", "max-uploads": str(PAGE_MAX), **self._encoding(), **_given(prefix=prefix)}
        markers = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
        for document in self._pages("", ("MultipartUploads",), query, markers):
            yield from answers.uploads(document, self._dialect.decode)

    def complete(self, key: str, upload_id: str, parts: Sequence[Part], *, precondition: Precondition) -> PutResult:
        query = {"uploadId": self._known(key, upload_id), **self._encoding()}
        headers = {
            "content-type": "application/xml",
            **self._options.complete_headers,
            **self._precondition(precondition),
        }
        body = documents.complete_document(
            [(part.number, part.etag, part.checksum) for part in parts],
            checksum_element=guarding.element_of(self._abilities.checksum),
        )
        with self._exchange.naming(key), _of_upload():
            document, told = self._exchange.document(
                "POST",
                self._usable(key),
                about=("CompleteMultipartUpload",),
                query=query,
                headers=headers,
                body=[body],
                first_byte_s=COMPLETE_PATIENCE_S,
            )
            return answers.put_result(told, self._dialect.prefix, etag=document.text("ETag"))

    def abort(self, key: str, upload_id: str) -> None:
        query = {"uploadId": self._known(key, upload_id)}
        try:
            with _of_upload():
                response = self._exchange.ask("DELETE", self._usable(key), query=query, expected=(200, 204))
        except UploadNotFoundError:
            return
        with response:
            response.read_bounded(ANSWER_MAX_BYTES)

    # ------------------------------------------------------------------------------------------------------- listings

    def list_objects(
        self, *, prefix: str = "", delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> Listing:
        query = {"list-type": "2", "max-keys": str(min(limit, PAGE_MAX)), "encoding-type": "url"}
        given = {"prefix": prefix, "delimiter": delimiter, "start-after": start_after, "continuation-token": token}
        query.update({name: value for name, value in given.items() if value})
        with self._exchange.naming(prefix):
            document, _ = self._exchange.document("GET", about=("List",), query=query)
            return answers.listing(document, self._dialect.decode)

    def list_versions(self, *, prefix: str) -> Iterator[Version]:
        query = {"versions": "", "max-keys": str(PAGE_MAX), "encoding-type": "url", **_given(prefix=prefix)}
        markers = {"key-marker": "NextKeyMarker", "version-id-marker": "NextVersionIdMarker"}
        for document in self._pages("", OF_VERSIONS, query, markers):
            yield from answers.versions(document, self._dialect.decode)

    # --------------------------------------------------------------------------------------------------------- bucket

    def bucket_tags(self) -> Mapping[str, str]:
        try:
            document, _ = self._exchange.document("GET", about=("Tagging",), query={"tagging": ""})
        except StoreRefusedError as error:
            if error.code in NO_TAGS:
                return {}
            raise
        return answers.bucket_tags(document)

    def versioning(self) -> Versioning:
        document, _ = self._exchange.document("GET", about=("Versioning",), query={"versioning": ""})
        return answers.versioning(document)

    def probe(self) -> Abilities:
        return probing.probe(self._twin, self._random_name(), checksums=self._dialect.checksums, chosen=self)

    def close(self) -> None:
        self._exchange.close()

    # --------------------------------------------------------------------------------------------------------- inside

    def _getting(self, byte_range: ByteRange | None, if_match: str) -> dict[str, str]:
        headers: dict[str, str] = {}
        if byte_range is not None:
            last = byte_range.offset + byte_range.length_bytes - 1
            headers = {"range": f"bytes={byte_range.offset}-{last}", **self._dialect.range_headers}
        if if_match:
            headers["if-match"] = f'"{if_match}"'
        return headers

    def _opened(self, response: Response, key: str, byte_range: ByteRange | None) -> Stream:
        """The answer of a GET as a stream that owns it."""
        if byte_range is None:
            self._manner.heard(response.headers)
        try:
            length, size = lengths(response, byte_range)
            info = answers.object_info(key, response.headers, self._dialect.prefix, size_bytes=size)
        except BaseException as error:
            response.close()
            if isinstance(error, StoreError):
                self._exchange.name(error, key)
            raise
        return Stream(self._exchange, response, info, length, Weight.WHOLE if byte_range is None else Weight.PART)

    def _twin(self, checksum: Checksum = Checksum.NONE, guard: Guarding | None = None) -> HttpStore:
        """The same bucket while it is probed: nothing is presumed, so every check goes along, or this one."""
        return HttpStore(
            dialect=self._dialect,
            exchange=self._exchange,
            abilities=Abilities(checksum=checksum),
            random_name=self._random_name,
            options=self._dialect.probing(self._options),
            guard=guard,
        )

    def _putting(self, guard: Guard, metadata: Mapping[str, str], precondition: Precondition) -> Mapping[str, str]:
        return {**self._put, **self._metadata(metadata), **self._precondition(precondition), **guard.headers}

    def _checksum_wanted(self) -> Mapping[str, str]:
        """At Initiate: what the parts will be guarded by."""
        checksum = self._abilities.checksum
        return {"x-amz-checksum-algorithm": checksum.value} if checksum is not Checksum.NONE else {}

    def _stored(self, response: Response, key: str, md5: bytes, crc64: int) -> PutResult:
        """The answer of a PUT, compared."""
        with self._exchange.naming(key), response:
            response.read_bounded(ANSWER_MAX_BYTES)
            headers = response.headers
            result = answers.put_result(headers, self._dialect.prefix, etag=answers.etag_of(headers))
            if md5 or result.crc64 != crc64:  # else it is the store's own word that all is well
                self._compare(f"object {key!r}", result.etag, md5, result.crc64, crc64)
            return result

    def _usable(self, key: str) -> str:
        """The key itself, unless sending it would mean something else: an empty key is the bucket."""
        length = len(key) if key.isascii() else len(key.encode("utf-8", "surrogatepass"))
        if not 1 <= length <= self.limits.key_length_max_bytes:
            raise StoreRefusedError(
                f"a key has 1 to {self.limits.key_length_max_bytes} bytes, this one has {length}: {key[:80]!r}",
                bucket=self.bucket,
                key=key,
                code="InvalidObjectName",
            )
        return key

    def _known(self, key: str, upload_id: str) -> str:
        """The upload id itself; without one the request would mean the object."""
        if not upload_id:
            raise UploadNotFoundError(f"no upload of {key!r} is named", bucket=self.bucket, key=key)
        return upload_id

    def _metadata(self, metadata: Mapping[str, str]) -> dict[str, str]:
        prefix = f"{self._dialect.prefix}meta-"
        return {f"{prefix}{name.lower()}": value for name, value in metadata.items()}

    def _precondition(self, precondition: Precondition) -> Mapping[str, str]:
        return self._dialect.create_only if isinstance(precondition, CreateOnly) else {}

    def _encoding(self) -> Mapping[str, str]:
        return {"encoding-type": "url"} if self._dialect.encodes_uploads else {}

    def _compare(self, what: str, etag: str, md5: bytes, told: int | None, crc64: int | None) -> None:
        if None not in {told, crc64} and told != crc64:
            raise IntegrityError(f"{what} in bucket {self.bucket} is bad: crc64 {crc64} was sent, the store has {told}")
        if md5 and self._abilities.part_etag_is_md5 and etag.lower() != md5.hex():
            raise IntegrityError(
                f"{what} in bucket {self.bucket} is bad: MD5 {md5.hex()} was sent, the store has {etag.lower()}"
            )

    def _pages(
        self, key: str, about: tuple[str, ...], query: Mapping[str, str], markers: Mapping[str, str]
    ) -> Iterator[documents.Document]:
        """All pages of a listing; `markers` name the parameters that lead on, and the elements that tell them."""
        following: dict[str, str] = {}
        while True:
            with self._exchange.naming(key):
                document, _ = self._exchange.document("GET", key, about=about, query={**query, **following})
                found = answers.next_markers(document, self._dialect.decode, markers)
                if found and found == following:
                    raise StoreUnavailableError("the store's listing does not move on")
            yield document
            if not found:
                return
            following = found


@contextmanager
def _of_upload() -> Iterator[None]:
    """What is missing when a multipart call finds nothing is the upload (Ceph RGW says NoSuchKey)."""
    try:
        yield
    except ObjectNotFoundError as error:
        raise UploadNotFoundError(
            str(error),
            bucket=error.bucket,
            key=error.key,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from error


def _version(version_id: str) -> dict[str, str]:
    return {"versionId": version_id} if version_id else {}


def _given(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def _size(body: Sequence[Buffer] | StreamedBody) -> int:
    return body.length_bytes if not isinstance(body, Sequence) else sum(memoryview(piece).nbytes for piece in body)
