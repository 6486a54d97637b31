"""A sink: takes PUT, multipart uploads and HEAD as OSS and S3 do, keeps sizes and checksums, throws the bytes away.

`python -m bench.sink SOCKET KEEP` serves the listening socket that it inherits, with a thread a connection. Several such
processes share one port (SO_REUSEPORT) and one directory of records, KEEP. Raw sockets and nothing else, so that no client has
to wait for it. Signatures are not looked at.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

import fastcrc

from penstock.transfer.crc64 import combine_all

BUFFER_BYTES = 1 << 20
HEAD_MAX_BYTES = 64 << 10
TALLY = struct.Struct("<QQQ")  # objects, bytes, checksums mixed by exclusive or
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
TAGS = XML + b"<Tagging><TagSet><Tag><Key>cpfs-dataflow</Key><Value>true</Value></Tag></TagSet></Tagging>"
LISTING = (
    XML
    + b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount><MaxKeys>1</MaxKeys></ListBucketResult>"
)
UPLOADS = XML + b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
VERSIONING = XML + b"<VersioningConfiguration/>"
REASONS = {200: "OK", 204: "No Content", 404: "Not Found", 409: "Conflict", 400: "Bad Request"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of one request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """Of its body, in bytes."""
        return int(self.headers.get("content-length", "0"))


class Records:
    """What became of objects and uploads: small files that all processes of the sink see; and this process's tally."""

    def __init__(self, keep: Path, tally_name: str) -> None:
        self._keep = keep
        self._tally_path = keep / tally_name
        self._lock = threading.Lock()
        self._tally_fd = os.open(self._tally_path, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self._tally_fd, TALLY.pack(0, 0, 0), 0)

    def put(self, path: str, size_bytes: int, crc: int) -> None:
        """An object is there, whole."""
        self._write(self._object(path), f"{size_bytes} {crc}", os.O_TRUNC)
        with self._lock:
            objects, total, mixed = TALLY.unpack(os.pread(self._tally_fd, TALLY.size, 0))
            os.pwrite(self._tally_fd, TALLY.pack(objects + 1, total + size_bytes, mixed ^ crc), 0)

    def get(self, path: str) -> tuple[int, int] | None:
        """Size and checksum of an object; None if there is none."""
        try:
            size, crc = self._object(path).read_text().split()
        except FileNotFoundError:
            return None
        return int(size), int(crc)

    def delete(self, path: str) -> None:
        """No such object any more."""
        self._object(path).unlink(missing_ok=True)

    def put_part(self, upload_id: str, number: int, size_bytes: int, crc: int) -> None:
        """A part of an upload has come."""
        self._write(self._keep / f"u-{upload_id}", f"{number} {size_bytes} {crc}\n", os.O_APPEND)

    def parts(self, upload_id: str) -> dict[int, tuple[int, int]]:
        """Size and checksum of each part by number, in order; a part sent twice counts as it came last."""
        found: dict[int, tuple[int, int]] = {}
        for line in (self._keep / f"u-{upload_id}").read_text().splitlines():
            number, size, crc = (int(word) for word in line.split())
            found[number] = (size, crc)
        return dict(sorted(found.items()))

    def begin(self, upload_id: str) -> None:
        """An upload without parts."""
        self._write(self._keep / f"u-{upload_id}", "", os.O_TRUNC)

    def end(self, upload_id: str) -> None:
        """The upload is completed or aborted."""
        (self._keep / f"u-{upload_id}").unlink(missing_ok=True)

    def _object(self, path: str) -> Path:
        return self._keep / f"o-{zlib.crc32(path.encode()):08x}-{fastcrc.crc64.xz(path.encode()):016x}"

    @staticmethod
    def _write(path: Path, text: str, how: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


class Visit:
    """One connection, until the other side closes it."""

    def __init__(self, link: socket.socket, records: Records) -> None:
        self._link = link
        self._records = records
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._ahead = b""

    def serve(self) -> None:
        """Answers request after request."""
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._link, contextlib.suppress(ConnectionError):
            while (request := self._read_head()) is not None:
                if request.headers.get("expect", "").lower() == "100-continue":
                    self._link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                if request.method == "PUT":
                    self._put(request)
                else:
                    self._other(request, self._read_body(request.length))

    # -------------------------------------------------------------------------------------------------------- reading

    def _read_head(self) -> Request | None:
        data = self._ahead
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > HEAD_MAX_BYTES:
                raise ConnectionError("the head of a request does not end")
            more = self._link.recv(HEAD_MAX_BYTES)
            if not more:
                return None
            data += more
        self._ahead = data[end + 4 :]
        lines = data[:end].decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        path, _, text = target.partition("?")
        pairs = (pair.partition("=") for pair in text.split("&") if pair)
        query = {unquote(name): unquote(value) for name, _, value in pairs}
        return Request(method=method, path=path, query=query, headers=headers)

    def _read_body(self, length: int) -> bytes:
        while len(self._ahead) < length:
            more = self._link.recv(HEAD_MAX_BYTES)
            if not more:
                raise ConnectionError("the body of a request ended early")
            self._ahead += more
        body, self._ahead = self._ahead[:length], self._ahead[length:]
        return body

    def _drain(self, length: int) -> int:
        """Takes in a body; its checksum."""
        first = self._ahead[:length]
        self._ahead = self._ahead[length:]
        crc = fastcrc.crc64.xz(first)
        left = length - len(first)
        while left:
            count = self._link.recv_into(self._view, min(left, BUFFER_BYTES))
            if count == 0:
                raise ConnectionError("the body of a request ended early")
            crc = fastcrc.crc64.xz(self._view[:count], crc)
            left -= count
        return crc

    # ------------------------------------------------------------------------------------------------------ answering

    def _put(self, request: Request) -> None:
        crc = self._drain(request.length)
        upload_id = request.query.get("uploadId", "")
        if upload_id:
            self._records.put_part(upload_id, int(request.query["partNumber"]), request.length, crc)
        elif request.headers.get("x-oss-forbid-overwrite") == "true" and self._records.get(request.path) is not None:
            self._refuse(409, "FileAlreadyExists")
            return
        else:
            self._records.put(request.path, request.length, crc)
        self._answer(200, headers=_told(crc))

    def _other(self, request: Request, body: bytes) -> None:
        match request.method:
            case "HEAD":
                self._head(request)
            case "POST" if "uploads" in request.query:
                self._initiate(request)
            case "POST" if "uploadId" in request.query:
                self._complete(request, body)
            case "DELETE":
                if "uploadId" in request.query:
                    self._records.end(request.query["uploadId"])
                else:
                    self._records.delete(request.path)
                self._answer(204)
            case "GET":
                self._get(request)
            case _:
                self._refuse(400, "InvalidRequest")

    def _head(self, request: Request) -> None:
        found = self._records.get(request.path)
        if found is None:
            self._answer(404, length=0, whole=False)
            return
        size, crc = found
        self._answer(200, headers={**_told(crc), "last-modified": DATE}, length=size, whole=False)

    def _initiate(self, request: Request) -> None:
        upload_id = os.urandom(12).hex()
        self._records.begin(upload_id)
        bucket, _, key = request.path.lstrip("/").partition("/")
        words = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{upload_id}</UploadId>"
        self._document(f"<InitiateMultipartUploadResult>{words}</InitiateMultipartUploadResult>".encode())

    def _complete(self, request: Request, body: bytes) -> None:
        upload_id = request.query["uploadId"]
        if request.headers.get("x-oss-forbid-overwrite") == "true" and self._records.get(request.path) is not None:
            self._refuse(409, "FileAlreadyExists")
            return
        parts = self._records.parts(upload_id)
        if body.count(b"<PartNumber>") != len(parts):
            self._refuse(400, "InvalidPart")
            return
        crc = combine_all((part_crc, size) for size, part_crc in parts.values())
        self._records.put(request.path, sum(size for size, _ in parts.values()), crc)
        self._records.end(upload_id)
        bucket, _, key = request.path.lstrip("/").partition("/")
        words = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{_told(crc)['etag']}</ETag>"
        self._document(
            f"<CompleteMultipartUploadResult>{words}</CompleteMultipartUploadResult>".encode(), headers=_told(crc)
        )

    def _get(self, request: Request) -> None:
        if "tagging" in request.query:
            self._document(TAGS)
        elif "versioning" in request.query:
            self._document(VERSIONING)
        elif "uploads" in request.query:
            self._document(UPLOADS)
        elif "list-type" in request.query:
            self._document(LISTING)
        else:
            self._refuse(404, "NoSuchKey")

    def _document(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        if not body.startswith(b"<?xml"):
            body = XML + body
        self._answer(200, headers={"content-type": "application/xml", **(headers or {})}, body=body)

    def _refuse(self, status: int, code: str) -> None:
        words = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self._answer(status, headers={"content-type": "application/xml"}, body=XML + words)

    def _answer(
        self,
        status: int,
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        length: int = -1,
        whole: bool = True,
    ) -> None:
        size = len(body) if whole else length
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", "server: bench-sink", f"date: {DATE}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if status != 204:
            lines.append(f"content-length: {size}")
        self._link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)


def _told(crc: int) -> dict[str, str]:
    """An ETag that nobody can take for an MD5, and the checksum as OSS tells it."""
    return {"etag": f'"{crc:032X}-1"', "x-oss-hash-crc64ecma": str(crc)}


def main(arguments: list[str]) -> NoReturn:
    """Serves until it is killed, or until the pipe on stdin is closed: it never outlives who started it.

    A Ctrl-C, which a terminal sends to everybody, is left to who started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=int(arguments[0]))
    records = Records(Path(arguments[1]), f"tally-{os.getpid()}")
    threading.Thread(target=_watch, daemon=True).start()
    while True:
        link, _ = listener.accept()
        threading.Thread(target=Visit(link, records).serve, daemon=True).start()


def _watch() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
