"""Looks at the service itself: whether it runs and answers, which version it is, whether its ports are free, its catalog."""

from __future__ import annotations

import contextlib
import shlex
import socket
import time
from collections.abc import Iterator

from penstock import __version__
from penstock.app.addresses import running_addresses
from penstock.app.doctor.findings import Finding, ok, problem, size_in_words, warning
from penstock.app.embedded import host_and_port
from penstock.app.lock import service_runs
from penstock.catalog.soundness import Soundness, look_at_catalog
from penstock.catalog.sqlite import NONCES_NAME
from penstock.errors import CatalogUnavailableError, SettingsError
from penstock.model import BucketKind
from penstock.settings.home import Home
from penstock.settings.reading import load_registry, load_settings

CATALOG_LIMIT_S = 20.0
LOG_MUCH_BYTES = 512 << 20
CONNECT_S = 3.0


def look_at_service(home: Home) -> Iterator[Finding]:
    """Whether it runs and accepts; where it does not, whether it could take its ports."""
    about, serve = "service", f"penstock serve {shlex.quote(str(home.path))}"
    if not service_runs(home):
        yield warning(about, "it is not running", serve)
        yield from _ports(home)
        return
    addresses = running_addresses(home)
    if addresses is None:
        yield warning(about, "it runs, but does not accept yet, or not any more: it is starting, migrating or stopping")
        return
    told = {
        "API": addresses.api,
        "console": addresses.console,
        "embedded buckets": addresses.oss,
        "metrics": addresses.metrics,
    }
    for name, url in told.items():
        if url and (trouble := _trouble(url)):
            yield problem(
                about, f"its {name} at {url} cannot be reached: {trouble}", f"look into its log, then: {serve}"
            )
    if addresses.version and addresses.version != __version__:
        yield warning(
            about,
            f"version {addresses.version} runs, and {__version__} is installed",
            "restart the service to have the new one",
        )
    yield ok(about, f"process {addresses.pid}, version {addresses.version or 'unknown'}, API at {addresses.api}")


def _trouble(url: str) -> str:
    host, port = host_and_port(url.partition("://")[2].partition("/")[0])
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _ports(home: Home) -> Iterator[Finding]:
    try:
        settings, registry = load_settings(home), load_registry(home)
    except SettingsError:
        return  # said by whoever looks at the settings
    wanted = [(settings.listen, settings.port, "port")]
    if any(bucket.kind is BucketKind.EMBEDDED for bucket in registry.buckets.values()):
        wanted.append((settings.listen, settings.emulator_port, "emulator_port"))
    told = {"metrics_listen": settings.metrics_listen, "console_listen": settings.console_listen}
    wanted += [(*host_and_port(listen), name) for name, listen in told.items() if listen]
    taken = [(host, port, name, words) for host, port, name in wanted if port and (words := _cannot_listen(host, port))]
    for host, port, name, words in taken:
        yield problem(
            "ports",
            f"{host}:{port} ({name}) cannot be listened on: {words}",
            f"ss -ltnp 'sport = :{port}' tells who is there; or choose another {name} in penstock.toml",
        )
    if not taken:
        yield ok("ports", ", ".join(str(port) for _, port, _ in wanted if port) + " are free")


def _cannot_listen(host: str, port: int) -> str:
    with contextlib.ExitStack() as stack:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
            stack.enter_context(socket.create_server((host, port), family=family))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def look_at_catalog_file(home: Home) -> Iterator[Finding]:
    """Whether all of it can be read, and by this version."""
    about = "catalog"
    restoring = f"stop the service, then: penstock restore BACKUP {shlex.quote(str(home.path))}"
    if not home.catalog_file.exists():
        if service_runs(home) and running_addresses(home) is not None:
            words = f"{home.catalog_file} was taken away under the running service, which accepts nothing more"
            yield problem(about, words, f"put the same file back, or {restoring}")
        elif home.catalog_file.with_name(NONCES_NAME).exists():
            yield problem(about, f"{home.catalog_file} is missing, and this HOME was served before", restoring)
        else:
            yield ok(about, "there is none yet: the first start makes it")
        return
    try:
        found = look_at_catalog(home.catalog_file, until_s=time.monotonic() + CATALOG_LIMIT_S)
    except CatalogUnavailableError as error:
        yield problem(about, str(error), restoring)
        return
    size = f"{size_in_words(found.size_bytes)}, schema {found.schema}"
    if found.soundness is Soundness.DAMAGED:
        yield problem(about, f"it is damaged: {found.words}", restoring)
    elif found.schema > found.known:
        yield problem(
            about,
            f"a newer Penstock has written it (schema {found.schema}, known here: {found.known})",
            "install that version",
        )
    elif found.soundness is Soundness.UNDECIDED:
        yield ok(about, f"{size}; what was read in {CATALOG_LIMIT_S:g} s is sound, the rest was left")
    else:
        yield ok(about, f"{size}; all of it is sound")
    if found.schema < found.known:
        yield warning(
            about, f"the next start migrates it from schema {found.schema} to {found.known}", "penstock backup it first"
        )
    if found.log_bytes > LOG_MUCH_BYTES:
        yield warning(
            about,
            f"its log has {size_in_words(found.log_bytes)}: something reads from it for long",
            "end what reads it",
        )
