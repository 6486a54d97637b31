"""How long does a command that waits ask a service that is away, and what does it say?"""

from __future__ import annotations

import pytest

from penstock.cli.patience import SILENCE_MAX_S, Patience
from penstock.errors import ApiRefusedError, ApiUnreachableError


class Away:
    """A service that answers after so long, with its own clock; every question takes a tenth of a second."""

    def __init__(self, until_s: float, error: Exception) -> None:
        self.now_s = 100.0
        self._until_s = self.now_s + until_s
        self._error = error

    def ask(self) -> str:
        self.now_s += 0.1
        if self.now_s < self._until_s:
            raise self._error
        return "answer"

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s

    def asked(self) -> str:
        return Patience(clock=lambda: self.now_s, sleep=self.sleep).asked(self.ask)


FULL = ApiRefusedError("too many wait", code="Throttling.User", status=400)
BUSY = ApiRefusedError("going down", code="ServiceUnavailable", status=503)


@pytest.mark.parametrize("error", [ApiUnreachableError("it does not answer"), BUSY])
def test_it_is_waited_for_and_said_once(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert Away(SILENCE_MAX_S - 5, error).asked() == "answer"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "asking again for 60 s" in lines[0]


def test_after_a_minute_it_is_given_up() -> None:
    away = Away(10 * SILENCE_MAX_S, ApiUnreachableError("it does not answer"))
    with pytest.raises(ApiUnreachableError):
        away.asked()
    assert SILENCE_MAX_S <= away.now_s - 100 <= SILENCE_MAX_S + 2


def test_after_a_minute_of_being_busy_it_is_given_up_too() -> None:
    away = Away(10 * SILENCE_MAX_S, BUSY)
    with pytest.raises(ApiRefusedError, match="going down"):
        away.asked()
    assert SILENCE_MAX_S <= away.now_s - 100 <= SILENCE_MAX_S + 2


def test_places_are_waited_for_as_long_as_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert Away(10 * SILENCE_MAX_S, FULL).asked() == "answer"
    assert capsys.readouterr().err == "as many sub-tasks wait as may wait; going on when there are places again\n"


def test_the_words_of_a_busy_service_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    Away(1, BUSY).asked()
    said = capsys.readouterr().err
    assert said.startswith("going down; asking again")
    assert "as many" not in said


def test_another_refusal_is_final(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ApiRefusedError):
        Away(1, ApiRefusedError("no", code="Forbidden.NoPermission", status=403)).asked()
    assert capsys.readouterr().err == ""
