"""`penstock object put | get | ls | rm`: the objects of a registered bucket, by hand.

An embedded bucket is reached through the running service; where none runs, its server is started for the moment.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from penstock.app.objects import fetch_object, send_object
from penstock.app.reaching import reach_bucket
from penstock.cli import completing
from penstock.cli.arguments import HOME
from penstock.cli.bars import byte_bar
from penstock.cli.output import moment, note, print_json, print_table
from penstock.errors import SettingsError
from penstock.settings.reading import open_home
from penstock.stores.base import ObjectInfo, Store

BUCKET = click.argument("bucket", shell_complete=completing.buckets)


@click.group(name="object")
def objects() -> None:
    """Objects of a bucket: put a file in, get one out, list, remove."""


@objects.command()
@HOME
@BUCKET
@click.argument("file")
@click.argument("key", default="")
def put(*, home: Path, bucket: str, file: str, key: str) -> None:
    """Put FILE (- for stdin) into BUCKET as KEY.

    Without KEY, or where KEY ends with /, the file's own name is used.
    """
    if file == "-" and (not key or key.endswith("/")):
        raise click.UsageError("what comes from stdin needs a KEY")
    if not key or key.endswith("/"):
        key += os.path.basename(file)
    with contextlib.ExitStack() as stack:
        source = sys.stdin.buffer if file == "-" else stack.enter_context(_regular(file))
        length = None if file == "-" else os.fstat(source.fileno()).st_size
        store = stack.enter_context(reach_bucket(open_home(home), bucket))
        tell = stack.enter_context(byte_bar(key, length))
        sent = send_object(store, key, source, on_progress=lambda done: tell(done, length))
    note(f"{bucket}/{key}: {sent.size_bytes} bytes, crc64 {sent.crc64}")


def _regular(file: str) -> BinaryIO:
    """The file, open. Raises SettingsError for a pipe or a device: opening one may wait for ever, and it has no end."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SettingsError(f"{file} is no regular file; what comes out of a pipe is put with - for FILE, from stdin")
    return os.fdopen(descriptor, "rb")


@objects.command()
@HOME
@BUCKET
@click.argument("key")
@click.argument("file", default="")
def get(*, home: Path, bucket: str, key: str, file: str) -> None:
    """Get the object KEY of BUCKET into FILE (- for stdout).

    Without FILE, or where FILE is a directory, the key's last part is the name. FILE appears when it is complete.
    """
    name = key.rstrip("/").rpartition("/")[2]
    if not file or os.path.isdir(file):
        file = os.path.join(file, name)
    with reach_bucket(open_home(home), bucket) as store, byte_bar(key, None) as tell, _output(file) as target:
        got = fetch_object(store, key, target, on_progress=tell)
    note(f"{bucket}/{key}: {got.size_bytes} bytes, crc64 {got.crc64}")


@contextlib.contextmanager
def _output(file: str) -> Iterator[int]:
    """A descriptor to write to: stdout, or a file that takes its name when all is written."""
    if file == "-":
        yield sys.stdout.fileno()
        return
    partial = f"{file}.{os.getpid()}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
        os.close(descriptor)
        os.rename(partial, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


@objects.command()
@HOME
@BUCKET
@click.argument("prefix", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls(*, home: Path, bucket: str, prefix: str, as_json: bool) -> None:
    """List the objects of BUCKET whose keys begin with PREFIX."""
    with reach_bucket(open_home(home), bucket) as store:
        found = list(_all(store, prefix))
    if as_json:
        print_json(
            [
                {
                    "key": each.key,
                    "size": each.size_bytes,
                    "etag": each.etag,
                    "last_modified": moment(each.last_modified_ns),
                }
                for each in found
            ]
        )
        return
    print_table(
        ["SIZE", "LAST MODIFIED", "KEY"], [[each.size_bytes, moment(each.last_modified_ns), each.key] for each in found]
    )


def _all(store: Store, prefix: str) -> Iterator[ObjectInfo]:
    token = ""
    while True:
        page = store.list_objects(prefix=prefix, token=token)
        yield from page.objects
        token = page.next_token
        if not token:
            return


@objects.command()
@HOME
@BUCKET
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
def rm(*, home: Path, bucket: str, keys: tuple[str, ...]) -> None:
    """Remove objects of BUCKET. On a versioned bucket the older versions stay."""
    with reach_bucket(open_home(home), bucket) as store:
        for key in keys:
            store.delete(key)
            note(f"{bucket}/{key}: removed")
