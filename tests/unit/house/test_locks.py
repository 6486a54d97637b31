"""Do the locks hold names and versions only, and is a lock that fell behind noticed?"""

import pytest

from scripts import locks


def test_a_lock_survives_writing_and_reading() -> None:
    pins = {"ab-cd": "1.2.post0", "xy": "2026.10.18"}
    assert locks.parse(locks.render("runtime", pins)) == pins


def test_names_are_compared_in_their_canonical_form() -> None:
    assert locks.parse("Typing_Extensions==4.1") == {"typing-extensions": "4.1"}


@pytest.mark.parametrize(
    "line",
    [
        "thing",
        "thing>=1",
        "thing==",
        "thing==1 --hash=sha256:00",
        "thing @ https://files.example/thing.whl",
        "--index" + "-url https://files.example/",
        "-r other.txt",
        "thing==1 ; python_version < '3.12'",
    ],
)
def test_anything_but_a_plain_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="plain name==version"):
        locks.parse(line)


def test_the_committed_locks_are_disjoint_plain_pins() -> None:
    groups = [set(locks.read(group)) for group in locks.GROUPS]
    assert all(groups)
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_the_closure_follows_what_packages_need() -> None:
    names, complaints = locks.closure(["pytest-timeout"])
    assert complaints == []
    assert {"pytest-timeout", "pytest", "pluggy", "iniconfig"} <= names


def test_extras_are_followed_only_where_they_are_asked_for() -> None:
    plain, _ = locks.closure(["moto"])
    served, _ = locks.closure(["moto[server]"])
    assert "flask" in served - plain


def test_unmet_requirements_are_complained_of() -> None:
    _, complaints = locks.closure(["pytest<1", "no-such-package-anywhere"])
    assert len(complaints) == 2
    assert "pytest<1 is wanted" in "".join(complaints)
    assert "no-such-package-anywhere is wanted but not installed" in complaints


def test_a_pin_too_many_and_a_pin_too_few_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = locks.read

    def doctored(group: str) -> dict[str, str]:
        pins = honest(group)
        if group == "runtime":
            del pins["click"]
        if group == "check":
            pins |= {"ruff": "0.0.1", "nobody-needs-this": "1.0"}
        return pins

    monkeypatch.setattr(locks, "read", doctored)
    complaints = "\n".join(locks.judge())
    assert "runtime: click is needed but not pinned" in complaints
    assert "check: nobody-needs-this is pinned but nothing needs it" in complaints
    assert "nobody-needs-this==1.0 is pinned but not installed" in complaints
    assert "ruff==0.0.1 is pinned but" in complaints
