"""A tunnel through an HTTP proxy: CONNECT and its answer on a fresh socket, before TLS begins. Reads no byte too many."""

from __future__ import annotations

import re
import socket
import time

ANSWER_MAX_BYTES = 8 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([ -~]{0,80}))?")


class RefusedTunnelError(OSError):
    """The proxy does not lead there."""


def through(sock: socket.socket, host: str, port: int, *, wait_s: float) -> None:
    """Have the proxy at the other end lead on to that host, within `wait_s` in all. Raises OSError."""
    there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    deadline_s = time.monotonic() + wait_s
    sock.sendall(f"CONNECT {there} HTTP/1.1\r\nhost: {there}\r\n\r\n".encode("ascii"))
    head = _head(sock, deadline_s)
    match = _STATUS.match(head)
    if match is None:
        raise RefusedTunnelError("the proxy does not speak HTTP")
    if not match[1].startswith(b"2"):
        words = b" ".join(part for part in match.groups() if part).decode("ascii")
        raise RefusedTunnelError(f"the proxy refuses to lead there ({words})")


def _head(sock: socket.socket, deadline_s: float) -> bytes:
    """The answer up to its empty line. Byte by byte: what lies behind it is TLS, and belongs to somebody else."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        sock.settimeout(left_s)
        byte = sock.recv(1)
        if not byte or len(head) > ANSWER_MAX_BYTES:
            raise RefusedTunnelError("the proxy gave no answer that can be read")
        head += byte
    sock.settimeout(max(deadline_s - time.monotonic(), 0.001))
    return bytes(head)
