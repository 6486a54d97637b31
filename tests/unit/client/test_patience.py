"""How long does a command that waits ask a service that is away, and what does it say?"""

from __future__ import annotations

import pytest

from penstock.cli.patience import SILENCE_MAX_S, asked_patiently
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
        return asked_patiently(self.ask, clock=lambda: self.now_s, sleep=self.sleep)


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


def test_another_refusal_is_final(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ApiRefusedError):
        Away(1, ApiRefusedError("no", code="Forbidden.NoPermission", status=403)).asked()
    assert capsys.readouterr().err == ""
