"""Does whoever asks aside get an answer, or hear within the time limit that there is none?"""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

from penstock.transfer.aside import Aside


def test_it_is_answered() -> None:
    assert Aside().ask(os.path.basename, "/one/name", limit_s=60.0) == "name"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE, errno.ENOMEM])
def test_where_no_process_can_be_had_there_is_no_answer_either(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(TimeoutError, match="nobody can be sent to look"):
        Aside().ask(os.path.basename, "/one/name", limit_s=60.0)
