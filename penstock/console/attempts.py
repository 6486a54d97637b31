"""How often somebody may try to log in and fail: bounded for one address, and for all of them together.

Pure but for what it remembers, which is bounded, too. The clock comes in as an argument.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque

WINDOW_S = 300.0
FAILURES_MAX = 10
FAILURES_OF_ALL_MAX = 300
ADDRESSES_MAX = 2048
_IPV6_NETWORK_BITS = 64  # whoever has one IPv6 address has as many


class Attempts:
    """Failures of the last five minutes."""

    def __init__(self) -> None:
        self._of_all: deque[float] = deque(maxlen=FAILURES_OF_ALL_MAX)
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> int:
        """How many seconds this address has to wait before it may try again; 0 when it may now."""
        own = self._by_address.get(_network(address), deque())
        return max(_wait_s(own, FAILURES_MAX, now_s), _wait_s(self._of_all, FAILURES_OF_ALL_MAX, now_s))

    def failed(self, address: str, now_s: float) -> None:
        """One more failure."""
        network = _network(address)
        own = self._by_address.setdefault(network, deque(maxlen=FAILURES_MAX))
        self._by_address.move_to_end(network)
        own.append(now_s)
        self._of_all.append(now_s)
        while len(self._by_address) > ADDRESSES_MAX:
            self._by_address.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Who has shown a key is not held up by typing errors of before."""
        self._by_address.pop(_network(address), None)


def _wait_s(failures: deque[float], most: int, now_s: float) -> int:
    if len(failures) < most:
        return 0
    left_s = failures[0] + WINDOW_S - now_s
    return int(left_s) + 1 if left_s > 0 else 0


def _network(address: str) -> str:
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    return str(ipaddress.ip_network((known, _IPV6_NETWORK_BITS), strict=False))
