"""Allowances: how many bytes a second each dataflow may move, in memory that all movers of this machine share.

The control process writes the rates, and may do so at any time; movers ask before they begin a file or a part, and note what it
costs. Who begins goes into debt, and nobody of the same dataflow begins before that is paid: so no thread ever waits in the
middle of a request, and a rate holds over all movers together. A dataflow without a rate costs one look at a counter.

Movers keep each other out by a lock of the kernel's that ends with its holder. It is never waited for: a mover that is stopped
while it has the lock holds up nobody.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import Final, NamedTuple

_WORD: Final = struct.Struct("=Q")
_HEAD_BYTES: Final = 2 * _WORD.size  # a count of changes, and how many accounts there are
_ACCOUNT: Final = struct.Struct("=QQQQQQ")
_KEY, _RATE, _PAID, _PAID_RATE, _USUAL, _HELD = (place * _WORD.size for place in range(6))
ACCOUNTS_MAX = 1024
NS_PER_S = 1_000_000_000
CREDIT_NS = 150_000_000
"""So much of an idle time may be made up for: those that were held look again only so often."""
HELD_NS = 1_000_000_000
"""Whoever was held so lately is waiting for the rate still."""
FIRST_USUAL_BYTES = 256 << 10
"""A small file is believed to be so large, before any has moved."""
_SMOOTHING = 8
_TRIES = 64


class Account(NamedTuple):
    """Where a dataflow's account lies, and its rate in bytes a second."""

    at: int
    rate: int


class Allowances:
    """The accounts over an open memory file. `clock_ns` is the same in all processes of the machine."""

    def __init__(self, descriptor: int, clock_ns: Callable[[], int]) -> None:
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _HEAD_BYTES + ACCOUNTS_MAX * _ACCOUNT.size)
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._seen = 0
        self._accounts: dict[int, int] = {}  # by key, where it lies
        self._keys: dict[str, int] = {}
        self._names: dict[int, str] = {}  # of those that a rate was set for here

    @classmethod
    def make(cls, clock_ns: Callable[[], int]) -> tuple[Allowances, int]:
        """New ones, and the descriptor to hand to movers (closed on exec unless passed on)."""
        descriptor = os.memfd_create("penstock-allowances", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _HEAD_BYTES + ACCOUNTS_MAX * _ACCOUNT.size)
        return cls(descriptor, clock_ns), descriptor

    # ------------------------------------------------------------------------------------------------ the control process

    def set(self, rates: Mapping[str, int]) -> None:
        """From now on these dataflows move so many bytes a second at most, and all others what they can."""
        wanted = {self._key(name): rate for name, rate in rates.items()}
        self._names = {self._key(name): name for name in rates}
        self._look()
        for key, at in self._accounts.items():
            self._write(at + _RATE, wanted.pop(key, 0))
        for key, rate in wanted.items():
            room = self._room()
            if room is not None:
                _ACCOUNT.pack_into(self._memory, room, key, rate, 0, 0, FIRST_USUAL_BYTES, 0)
        self._write(0, self._read(0) + 1)
        self._look()

    def held(self) -> frozenset[str]:
        """The dataflows of which something was held by its rate just now."""
        since_ns = self._clock_ns() - HELD_NS
        return frozenset(
            name
            for key, name in self._names.items()
            if (at := self._accounts.get(key)) is not None
            and self._read(at + _RATE)
            and self._read(at + _HELD) >= since_ns
        )

    def files_per_s(self) -> Mapping[str, float]:
        """How many of its usual small files each dataflow may move in a second for which a rate is set."""
        found = ((name, self._account(name)) for name in self._names.values())
        return {name: one.rate / max(1, self._read(one.at + _USUAL)) for name, one in found if one is not None}

    # ------------------------------------------------------------------------------------------------------------- movers

    def is_open(self, data_flow_id: str) -> bool:
        """Whether something of a dataflow may begin now."""
        account = self._account(data_flow_id)
        if account is None:
            return True
        now_ns = self._clock_ns()
        if self._paid_ns(account, now_ns) <= now_ns:
            return True
        self._write(account.at + _HELD, now_ns)
        return False

    def take(self, data_flow_id: str, size_bytes: int) -> bool:
        """Begin something of that size, if that may be now."""
        account = self._account(data_flow_id)
        if account is None:
            return True
        with self._alone(account) as is_alone:
            return is_alone and self.is_open(data_flow_id) and self._charge(account, size_bytes)

    def take_usual(self, data_flow_id: str) -> int:
        """Begin a small file of which nobody knows yet how large it is; what was charged for it."""
        account = self._account(data_flow_id)
        if account is None:
            return 0
        with self._alone(account):
            usual = max(1, self._read(account.at + _USUAL))
            self._charge(account, usual)
            return usual

    def settle(self, data_flow_id: str, *, charged_bytes: int, moved_bytes: int) -> None:
        """A small file has ended, and was so large."""
        account = self._account(data_flow_id)
        if account is None:
            return
        with self._alone(account):
            self._charge(account, moved_bytes - charged_bytes)
            if moved_bytes:
                usual = self._read(account.at + _USUAL)
                self._write(account.at + _USUAL, max(1, usual + (moved_bytes - usual) // _SMOOTHING))

    # ------------------------------------------------------------------------------------------------------------- within

    def _charge(self, account: Account, size_bytes: int) -> bool:
        now_ns = self._clock_ns()
        paid_ns = max(self._paid_ns(account, now_ns), now_ns - CREDIT_NS)
        self._write(account.at + _PAID, max(0, paid_ns + size_bytes * NS_PER_S // account.rate))
        self._write(account.at + _PAID_RATE, account.rate)
        return True

    def _paid_ns(self, account: Account, now_ns: int) -> int:
        """When all is paid for. Debts of another rate than today's are forgotten: they would take as long as that one did."""
        is_of_today = self._read(account.at + _PAID_RATE) == account.rate
        return self._read(account.at + _PAID) if is_of_today else now_ns

    @contextmanager
    def _alone(self, account: Account) -> Iterator[bool]:
        """Keep the others out; False where that could not be had at once."""
        with self._lock:
            is_alone = self._lock_account(account)
            try:
                yield is_alone
            finally:
                if is_alone:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _ACCOUNT.size, account.at)

    def _lock_account(self, account: Account) -> bool:
        for _ in range(_TRIES):
            with suppress(BlockingIOError, PermissionError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _ACCOUNT.size, account.at)
                return True
        return False

    def _account(self, data_flow_id: str) -> Account | None:
        """Where a rate bounds this dataflow."""
        if self._read(0) != self._seen:
            self._look()
        if not self._accounts:
            return None
        at = self._accounts.get(self._key(data_flow_id))
        rate = 0 if at is None else self._read(at + _RATE)
        return None if at is None or not rate else Account(at, rate)

    def _look(self) -> None:
        """Which accounts there are now."""
        self._seen = self._read(0)
        places = (_HEAD_BYTES + number * _ACCOUNT.size for number in range(self._read(_WORD.size)))
        self._accounts = {self._read(at + _KEY): at for at in places}

    def _room(self) -> int | None:
        """A new account, or one that bounds nobody any more; None where there is none."""
        count = self._read(_WORD.size)
        if count < ACCOUNTS_MAX:
            self._write(_WORD.size, count + 1)
            return _HEAD_BYTES + count * _ACCOUNT.size
        places = (_HEAD_BYTES + number * _ACCOUNT.size for number in range(count))
        return next((at for at in places if not self._read(at + _RATE)), None)

    def _key(self, data_flow_id: str) -> int:
        known = self._keys.get(data_flow_id)
        if known is None:
            if len(self._keys) > ACCOUNTS_MAX:
                self._keys.clear()
            raw = blake2b(data_flow_id.encode("utf-8", "surrogatepass"), digest_size=_WORD.size).digest()
            known = self._keys[data_flow_id] = int.from_bytes(raw, "little")
        return known

    def _read(self, at: int) -> int:
        number: int = _WORD.unpack_from(self._memory, at)[0]
        return number

    def _write(self, at: int, number: int) -> None:
        _WORD.pack_into(self._memory, at, number)
