"""Who gets in, who does not, and what browsers are told: asked without a browser, to the letter."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from penstock.settings.editing import add_access_key, revoke_access_key
from penstock.settings.naming import new_access_key
from penstock.settings.reading import open_home
from tests.e2e.console.conftest import Console
from tests.fixtures.service import WARM, init_home, start_service
from tests.fixtures.visitor import Visitor
from tests.fixtures.waiting import wait_until

CHANCE = iter(range(1, 256))


def entropy(count: int) -> bytes:
    """Other bytes each time, the same in each run."""
    return bytes((next(CHANCE) * 37 + index * 11) % 247 for index in range(count))


def another_key(console: Console, *allow: str) -> tuple[str, str]:
    """A key of HOME that the service knows by now."""
    key = new_access_key(entropy, created_ns=1, allow=allow or ("*",))
    add_access_key(open_home(console.service.home), key)
    console.wait_for(key)
    return key.access_key_id, key.secret


def test_nothing_is_shown_without_a_session(console: Console) -> None:
    stranger = Visitor(console.url)
    assert stranger.get("/").headers["location"] == "/login"
    assert (
        stranger.get("/dataflows?status=Running").headers["location"] == "/login?next=%2Fdataflows%3Fstatus%3DRunning"
    )
    assert stranger.get("/nowhere").status == 303
    asked = stranger.get("/nowhere", {"Accept": "application/json"})
    assert (asked.status, "SessionEnded" in asked.text) == (401, True)
    assert console.init["file_system_id"] not in stranger.get("/login").text


@pytest.mark.parametrize("part", ["id", "secret", "both"])
def test_a_wrong_key_is_refused_in_the_same_words(console: Console, part: str) -> None:
    key_id = console.init["access_key_id"] if part == "secret" else "PSTKnobody"
    secret = console.init["access_key_secret"] if part == "id" else "wrong"
    answer = Visitor(console.url).log_in(key_id, secret)
    assert answer.status == 403
    assert "do not belong together" in answer.text
    assert secret not in answer.text
    assert "set-cookie" not in answer.headers


def test_the_sessions_cookie_is_kept_from_scripts_and_other_sites(console: Console) -> None:
    answer = Visitor(console.url).log_in(console.init["access_key_id"], console.init["access_key_secret"])
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert console.init["access_key_secret"].lower() not in cookie


@pytest.mark.parametrize(
    "there",
    ["//elsewhere.example", "https://elsewhere.example/", "/\\elsewhere.example", "/login", "/a\r\nX: y", "next"],
)
def test_a_login_leads_to_no_other_site(console: Console, there: str) -> None:
    fields = {"access_key_id": console.init["access_key_id"], "access_key_secret": console.init["access_key_secret"]}
    answer = Visitor(console.url).post("/login", {**fields, "next": there})
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_logging_out_ends_the_session_for_whoever_kept_its_cookie(console: Console) -> None:
    visitor = console.visitor()
    thief = Visitor(console.url, cookies=dict(visitor.cookies))
    assert thief.get("/").status == 200
    assert visitor.post("/logout", {}).headers["location"] == "/login?note=out"
    assert "You are logged out." in visitor.get("/login?note=out").text
    assert visitor.get("/").status == 303
    assert thief.get("/").status == 303


def test_a_revoked_key_ends_its_sessions(console: Console) -> None:
    visitor = Visitor(console.url)
    key_id, secret = another_key(console)
    visitor.log_in(key_id, secret)
    assert visitor.get("/").status == 200
    revoke_access_key(open_home(console.service.home), key_id)
    wait_until(lambda: visitor.get("/").status == 303, 30, "the session goes on")
    assert visitor.log_in(key_id, secret).status == 403


@pytest.mark.parametrize("change", ["letter", "key", "age", "length", "shape"])
def test_a_cookie_that_was_changed_is_nobodys(console: Console, change: str) -> None:
    visitor = console.visitor()
    ((name, cookie),) = visitor.cookies.items()
    version, began, number, key, signature = cookie.split(".")
    changed = {
        "letter": ".".join((version, began, number, key, signature[:-1] + ("0" if signature[-1] != "0" else "1"))),
        "key": ".".join((version, began, number, "QQ", signature)),
        "age": ".".join((version, str(int(began) - 1), number, key, signature)),
        "length": cookie + "0" * 600,
        "shape": "..".join((version, number, signature)),
    }[change]
    visitor.cookies[name] = changed
    assert visitor.get("/").status == 303


def test_forms_of_other_pages_do_nothing(console: Console) -> None:
    visitor = console.visitor()
    token = visitor.csrf
    for headers in (
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert visitor.post("/logout", {}, headers).status == 403, headers
    visitor.csrf = "0" * len(token)
    assert visitor.post("/logout", {}).status == 403
    visitor.csrf = console.visitor().csrf  # another session of the same key
    assert visitor.post("/logout", {}).status == 403
    assert (
        visitor.send(
            "POST", "/logout", b"csrf=" + token.encode(), {"Content-Type": "text/plain", "Origin": console.url}
        ).status
        == 415
    )
    assert visitor.get("/").status == 200, "it is logged in all the same"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 303),
        ("localhost:1", 303),
        ("[::1]:80", 303),
        ("trap.example", 421),
        ("127.0.0.1.trap.example", 421),
        ("", 421),
    ],
)
def test_it_answers_to_its_own_names_only(console: Console, host: str, status: int) -> None:
    answer = Visitor(console.url).get("/", {"Host": host})
    assert answer.status == status
    if status == 421:
        assert "console_names" in answer.text


def test_browsers_are_told_to_be_strict(console: Console) -> None:
    for path in ("/login", "/", "/nowhere"):
        answer = console.visitor().get(path)
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text) is None, path


def test_what_pages_look_like_is_kept_for_long_and_by_version(console: Console) -> None:
    stranger = Visitor(console.url)
    (path,) = re.findall(r'href="(/static/\w+/base\.css)"', stranger.get("/login").text)
    plain, packed = stranger.get(path), stranger.get(path, {"Accept-Encoding": "gzip"})
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["content-type"] == "text/css; charset=utf-8"
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert stranger.get("/static/0000000000000000/base.css").status == 404
    assert stranger.get(path.replace("base.css", "../../templates/base.html")).status == 404
    assert stranger.get(path.replace("base.css", "%2e%2e/rendering.py")).status == 404


def test_a_head_and_a_form_have_a_length(console: Console) -> None:
    address = urlsplit(console.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * (65 << 10))
        assert sock.recv(100).startswith(b"HTTP/1.1 431 ")
    too_long = Visitor(console.url).post("/login", {"access_key_id": "x" * (1 << 20)})
    assert too_long.status == 413
    many = "&".join(f"f{number}=" for number in range(3000)).encode()
    headers = {"Origin": console.url, "Content-Type": "application/x-www-form-urlencoded"}
    assert Visitor(console.url).send("POST", "/login", many, headers).status == 400
    assert Visitor(console.url).send("POST", "/login", b"a=%ff", headers).status == 400
    assert Visitor(console.url).send("DELETE", "/", b"", {}).status == 405


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME that nobody serves yet."""
    init_home(tmp_path / "home", movers=1)
    return tmp_path / "home"


def test_sessions_outlive_a_restart_and_the_port_is_found_again(home: Path) -> None:
    service = start_service(home, command=WARM)
    visitor = Console(service).visitor()
    port = urlsplit(service.console).port
    assert service.stop() == 0
    again = start_service(home, extra_args=["--console-port", str(port)], command=WARM)
    try:
        assert again.console == service.console
        assert visitor.get("/").status == 200
        assert (home / "console.key").stat().st_mode & 0o777 == 0o600
    finally:
        again.stop()


def test_whoever_fails_often_has_to_wait(home: Path) -> None:
    service = start_service(home, command=WARM)
    try:
        guesser = Visitor(service.console)
        statuses = [guesser.log_in(service.init["access_key_id"], f"guess{number}").status for number in range(11)]
        assert statuses == [403] * 10 + [429]
        held_up = guesser.log_in(service.init["access_key_id"], service.init["access_key_secret"])
        assert held_up.status == 429
        assert re.search(r"Try again in \d+ seconds", held_up.text)
    finally:
        service.stop()


def _imported(pid: int) -> bool:
    """Whether what templates are filled with is in the process: part of it is a library, which the kernel lists."""
    return "markupsafe" in Path(f"/proc/{pid}/maps").read_text()


def test_a_console_that_nobody_visits_is_not_there(home: Path) -> None:
    service = start_service(home, command=WARM)
    try:
        assert not _imported(service.pid)
        assert Visitor(service.console).get("/login").status == 200
        assert _imported(service.pid)
    finally:
        service.stop()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def test_the_settings_choose_where_it_is(home: Path, taken: int) -> None:
    settings = home / "penstock.toml"
    text = settings.read_text()
    assert 'console_listen = "127.0.0.1:8682"' in text
    settings.write_text(text.replace('console_listen = "127.0.0.1:8682"', 'console_listen = ""'))
    service = start_service(home, command=WARM)
    assert service.console == ""
    service.stop()
    settings.write_text(text.replace('console_listen = "127.0.0.1:8682"', f'console_listen = "[::1]:{taken}"'))
    service = start_service(home, extra_args=["--console-port", "0"], command=WARM)
    try:
        assert service.console.startswith("http://[::1]:")
        assert Visitor(service.console).get("/login").status == 200
    finally:
        service.stop()


def test_a_chosen_port_that_is_taken_is_told(home: Path, taken: int) -> None:
    with pytest.raises(AssertionError, match=r"--console-port N .* or console_listen in penstock\.toml"):
        start_service(home, extra_args=["--console-port", str(taken)], command=WARM)


def test_a_service_that_is_no_stand_in_has_no_page_for_one(console: Console) -> None:
    visitor = Visitor(console.url)
    visitor.log_in(console.init["access_key_id"], console.init["access_key_secret"])
    assert visitor.get("/stand-in").status == visitor.post("/stand-in/reset", {}).status == 404
    assert "Stand-in" not in visitor.get("/").text
