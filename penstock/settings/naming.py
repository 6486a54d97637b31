"""Ids and secrets that Penstock makes up, and the shapes that names in the two files may have.

Randomness comes in as `entropy` (`os.urandom` in production). No I/O.
"""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Iterable

from penstock.errors import SettingsError
from penstock.model import AccessKey, BucketKind, Credentials

FILE_SYSTEM_ID = re.compile(r"(?:bm)?cpfs-[0-9a-z][0-9a-z-]{0,62}")
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,127}")
VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}")
REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

_ID_LETTERS = string.digits + string.ascii_lowercase
_KEY_LETTERS = string.ascii_letters + string.digits


def _letters(entropy: Callable[[int], bytes], alphabet: str, length: int) -> str:
    """`length` letters, each equally likely: bytes that would favour the alphabet's first letters are dropped."""
    fair = 256 - 256 % len(alphabet)
    letters: list[str] = []
    while len(letters) < length:
        letters += [alphabet[byte % len(alphabet)] for byte in entropy(length) if byte < fair]
    return "".join(letters[:length])


def new_file_system_id(entropy: Callable[[int], bytes], *, prefix: str = "bmcpfs") -> str:
    """An id as the vendor shapes them: `bmcpfs-` (or another prefix) and 19 letters and digits."""
    return f"{prefix}-" + _letters(entropy, _ID_LETTERS, 19)


def new_access_key(
    entropy: Callable[[int], bytes],
    *,
    created_ns: int,
    allow: tuple[str, ...] = ("*",),
    file_systems: tuple[str, ...] = ("*",),
    description: str = "",
) -> AccessKey:
    """A fresh, active access key."""
    return AccessKey(
        access_key_id="PSTK" + _letters(entropy, _KEY_LETTERS, 20),
        secret=_letters(entropy, _KEY_LETTERS, 40),
        allow=allow,
        file_systems=file_systems,
        description=description,
        created_ns=created_ns,
    )


def new_embedded_credentials(entropy: Callable[[int], bytes]) -> Credentials:
    """The key pair with which the service itself speaks to an embedded bucket."""
    return Credentials(
        access_key_id="PSTKEMB" + _letters(entropy, _KEY_LETTERS, 17),
        access_key_secret=_letters(entropy, _KEY_LETTERS, 40),
    )


def check_bucket_name(name: str, kind: BucketKind) -> None:
    """Raises SettingsError unless a bucket of this kind can be called so."""
    dotted = "." in name and kind is not BucketKind.S3
    if BUCKET_NAME.fullmatch(name) is None or dotted or ".." in name:
        raise SettingsError(
            f"{name!r} cannot be a bucket's name: 3 to 63 lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit ('.' only with kind s3)"
        )


def check_file_system_id(file_system_id: str) -> None:
    """Raises SettingsError unless a file system can have this id."""
    if FILE_SYSTEM_ID.fullmatch(file_system_id) is None:
        raise SettingsError(
            f"{file_system_id!r} cannot be a file system's id: 'bmcpfs-' or 'cpfs-' and then lower-case letters, digits and '-'"
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was probably meant, as the end of a sentence."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
