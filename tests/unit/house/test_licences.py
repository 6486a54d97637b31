"""Does the licence judge understand what packages state, and refuse what it does not?"""

from pathlib import Path

import pytest

from scripts import licences
from scripts.licences import LicenceError, allowed, home_page, normalise

APACHE = "License :: OSI Approved :: Apache Software License"
BSD = "License :: OSI Approved :: BSD License"
MIT = "License :: OSI Approved :: MIT License"


@pytest.mark.parametrize(
    ("expression", "classifiers", "field", "expected"),
    [
        ("Apache-2.0 OR BSD-3-Clause", [MIT], "GPL", "Apache-2.0 OR BSD-3-Clause"),
        (None, [APACHE], "Apache License 2.0", "Apache-2.0"),
        (None, [BSD, APACHE], "Dual License", "Apache-2.0 AND BSD"),
        (None, [BSD], "BSD 3-Clause License", "BSD-3-Clause"),
        (None, [BSD], "", "BSD"),
        (None, ["License :: DFSG approved", "License :: OSI Approved", MIT], None, "MIT"),
        (None, [], "The MIT License", "MIT"),
        (None, [], "Apache 2.0", "Apache-2.0"),
        (None, ["License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"], "MPL-2.0", "MPL-2.0"),
        (None, ["Programming Language :: Python"], "ISC license", "ISC"),
    ],
)
def test_a_statement_becomes_one_expression(
    expression: str | None, classifiers: list[str], field: str | None, expected: str
) -> None:
    assert normalise(expression, classifiers, field) == expected


@pytest.mark.parametrize(
    ("classifiers", "field"),
    [
        ([], None),
        ([], ""),
        ([], "UNKNOWN"),
        ([], "Do what you like\n\nbut not that"),
        (["License :: OSI Approved"], ""),
        (["License :: Other/Proprietary License"], "MIT"),
        ([MIT, "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], "MIT"),
        (["License :: Public Domain"], "public domain"),
    ],
)
def test_what_is_not_understood_is_refused(classifiers: list[str], field: str | None) -> None:
    with pytest.raises(LicenceError):
        normalise(None, classifiers, field)


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("LGPL-3.0-only", False),
        ("Apache-2.0 OR GPL-2.0-only", True),
        ("Apache-2.0 AND GPL-2.0-only", False),
        ("GPL-2.0-only AND MIT OR ISC", True),
        ("GPL-2.0-only AND (MIT OR ISC)", False),
        ("(MIT or ISC) and PSF-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("LicenseRef-Proprietary", False),
    ],
)
def test_an_expression_is_judged_as_it_is_built(expression: str, verdict: bool) -> None:
    assert allowed(expression) is verdict


@pytest.mark.parametrize("expression", ["", "MIT ISC", "(MIT", "MIT AND", "OR MIT", "MIT WITH", "MIT)"])
def test_a_broken_expression_is_refused(expression: str) -> None:
    with pytest.raises(LicenceError):
        allowed(expression)


def test_a_ruling_holds_for_the_statement_it_names_only() -> None:
    name, ruling = next(iter(licences.RULINGS.items()))
    assert licences.judge(name, ruling.stated) == ruling.stated
    with pytest.raises(LicenceError):
        licences.judge(name, f"{ruling.stated} AND GPL-3.0-only")
    with pytest.raises(LicenceError):
        licences.judge("another", ruling.stated)


def test_lgpl_needs_a_package_that_is_named_as_separate(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LicenceError):
        licences.judge("driver", "LGPL-3.0-only")
    monkeypatch.setattr(licences, "SEPARATE_LGPL", {"driver": "imported as it is installed"})
    assert licences.judge("driver", "LGPL-3.0-only") == "LGPL-3.0-only"
    with pytest.raises(LicenceError):
        licences.judge("driver", "GPL-3.0-only")


def test_a_home_page_is_never_a_package_index() -> None:
    index = "https://pyp" + "i.org/project/thing"
    assert (
        home_page([f"Homepage, {index}", "Source, https://code.example/thing/"], None) == "https://code.example/thing"
    )
    assert home_page([f"Homepage, {index}"], index) == ""


def test_a_stale_document_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "THIRD_PARTY.md"
    monkeypatch.setattr(licences, "TARGET", stale)
    assert licences.main(["--check"]) == 1
    assert licences.main([]) == 0
    assert licences.main(["--check"]) == 0
    stale.write_text(stale.read_text() + "more\n")
    assert licences.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
