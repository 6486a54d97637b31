"""`python -m penstock.emulator ROOT`: the emulator alone, for tests and for trying things out.

Prints one JSON line, {"oss": url}, when it answers. The access key comes from a file, never from argv.
"""

from __future__ import annotations

import argparse
import json
import logging
import socket
import sys
from pathlib import Path

from penstock.emulator.application import RESTORE_S, create_app, read_cname, serve
from penstock.errors import PenstockError


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM. `arguments` are those behind the program's name."""
    parser = argparse.ArgumentParser(prog="python -m penstock.emulator", description="An OSS bucket server over ROOT.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--region", default="cn-hangzhou")
    parser.add_argument("--domain", help="find buckets in the Host header beneath this domain, too")
    parser.add_argument(
        "--cname", action="append", default=[], metavar="HOST=BUCKET", help="HOST is that bucket's own name"
    )
    parser.add_argument("--restore-s", type=float, default=RESTORE_S, help="how long restoring an object takes")
    parser.add_argument(
        "--access-key-file",
        type=Path,
        required=True,
        help="one access key a line: ID SECRET, and its TOKEN if it is a temporary one; read for every request",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

    def secret_of(access_key_id: str) -> str | None:
        return read_keys(options.access_key_file).get(access_key_id, ("", None))[0] or None

    def token_of(access_key_id: str) -> str | None:
        return read_keys(options.access_key_file).get(access_key_id, ("", None))[1]

    read_keys(options.access_key_file)
    sock = socket.create_server((options.host, options.port), backlog=512)
    url = f"http://{options.host}:{sock.getsockname()[1]}"
    app = create_app(
        root=options.root,
        credentials=secret_of,
        token_of=token_of,
        region=options.region,
        domain=options.domain,
        cnames=dict(map(read_cname, options.cname)),
        restore_s=options.restore_s,
    )
    try:
        serve(app, sock=sock, on_ready=lambda: print(json.dumps({"oss": url}), flush=True))
    except PenstockError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1
    return 0


def read_keys(path: Path) -> dict[str, tuple[str, str | None]]:
    """Secret and token of the access keys of a file, one `ID SECRET [TOKEN]` a line. Raises OSError."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {words[0]: (words[1], words[2] if len(words) == 3 else None) for words in lines if len(words) in {2, 3}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
