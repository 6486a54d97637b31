"""The far ends: nginx serving the source bucket, and the sink taking uploads. Started, asked and stopped here, by their pids.

Both are dressed as OSS and as S3 at once; neither checks signatures, so that only clients are measured. 127.0.0.1 only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.dataset import SOURCE_BUCKET, Dataset
from bench.sink import TALLY

READY_S = 30.0
SINK_PROCESSES = 2
NGINX = """\
daemon off;
worker_processes 2;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    map_hash_bucket_size 128;
    map_hash_max_size 262144;
    open_file_cache max=8000 inactive=600s;
    open_file_cache_valid 600s;
    default_type application/octet-stream;
    map $uri $crc {{ include {home}/crc.map; }}
    map $args $document {{
        default "";
        "~(^|&)tagging" "<Tagging><TagSet><Tag><Key>cpfs-dataflow</Key><Value>true</Value></Tag></TagSet></Tagging>";
        "~(^|&)versioning" "<VersioningConfiguration/>";
        "~(^|&)list-type=2" "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {objects};
        location = /{bucket}/ {{
            default_type application/xml;
            if ($document != "") {{ return 200 $document; }}
            return 404 "<Error><Code>NoSuchKey</Code></Error>";
        }}
        error_page 404 = @absent;
        location @absent {{
            default_type application/xml;
            return 404 "<Error><Code>NoSuchKey</Code></Error>";
        }}
        location / {{
            if ($request_method !~ ^(GET|HEAD)$) {{ return 403 "<Error><Code>AccessDenied</Code></Error>"; }}
            if (-d $request_filename) {{ return 404 "<Error><Code>NoSuchKey</Code></Error>"; }}
            add_header x-oss-hash-crc64ecma $crc;
        }}
    }}
}}
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Source:
    """nginx with the files of all datasets; `port` is where. Its answers carry ETag, Last-Modified and the CRC-64."""

    def __init__(self, directory: Path, datasets: Sequence[Dataset]) -> None:
        self.port = free_port()
        self.objects = directory / "objects" / SOURCE_BUCKET
        self._home = directory / "nginx"
        self._home.mkdir()
        lines = [
            f'/{SOURCE_BUCKET}/{each.files_set.name}/{name} "{crc}";\n'
            for each in datasets
            for name, crc in each.crcs.items()
        ]
        (self._home / "crc.map").write_text("".join(lines))
        objects = directory / "objects"
        objects.mkdir(exist_ok=True)
        conf = self._home / "nginx.conf"
        text = NGINX.format(home=self._home, port=self.port, objects=objects, bucket=SOURCE_BUCKET)
        # nginx leaves root for a user that need not be able to read here.
        conf.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "nginx"
        self._process = subprocess.Popen([program, "-c", str(conf), "-e", str(self._home / "error.log")])
        wait_for_port(self.port)

    def close(self) -> None:
        """End it."""
        end(self._process)


class Sink:
    """The sink's processes; `port` is where."""

    def __init__(self, directory: Path) -> None:
        self._keep = directory / "sink"
        self._keep.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        with contextlib.ExitStack() as stack:
            listeners = [stack.enter_context(self._listener(0))]
            self.port = int(listeners[0].getsockname()[1])
            listeners += [stack.enter_context(self._listener(self.port)) for _ in range(SINK_PROCESSES - 1)]
            for listener in listeners:
                command = [sys.executable, "-m", "bench.sink", str(listener.fileno()), str(self._keep)]
                self._processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()]))
        wait_for_port(self.port)

    @staticmethod
    def _listener(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
        return listener

    def taken(self, _prefix: str) -> tuple[int, int, int]:
        """Objects, their bytes and their checksums mixed, since the last `forget`; all of them, whatever their prefix."""
        objects = total = mixed = 0
        for path in self._keep.glob("tally-*"):
            found = TALLY.unpack(path.read_bytes())
            objects, total, mixed = objects + found[0], total + found[1], mixed ^ found[2]
        return objects, total, mixed

    def forget(self) -> None:
        """Removes all objects, and counts anew."""
        for entry in os.scandir(self._keep):
            if entry.name.startswith("tally-"):
                with open(entry.path, "r+b", buffering=0) as file:
                    file.write(TALLY.pack(0, 0, 0))
            else:
                os.unlink(entry.path)

    def close(self) -> None:
        """End it."""
        for process in self._processes:
            end(process)


@contextlib.contextmanager
def far_ends(directory: Path, records: Path, datasets: Sequence[Dataset]) -> Iterator[tuple[Source, Sink]]:
    """Both servers. The sink's small records lie below `records`, best in memory."""
    with contextlib.ExitStack() as stack:
        source = Source(directory, datasets)
        stack.callback(source.close)
        sink = Sink(records)
        stack.callback(sink.close)
        yield source, sink


def wait_for_port(port: int) -> None:
    """Returns once somebody accepts there. Raises TimeoutError."""
    until = time.monotonic() + READY_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > until:
                raise TimeoutError(f"nobody listens on port {port} after {READY_S:g} s") from error
            time.sleep(0.02)
        else:
            return


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL where that does not help."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
