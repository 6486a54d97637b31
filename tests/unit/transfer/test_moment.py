"""Is what was looked at shared within one moment of one thread only?"""

from __future__ import annotations

import threading

from penstock.transfer.moment import MOMENT_S, Moments


def test_a_moment_is_one_threads_and_ends() -> None:
    now_s = [5.0]
    moments = Moments(lambda: now_s[0])
    assert moments.now() == 0
    with moments:
        first = moments.now()
        assert first == moments.now() > 0
        others: list[int] = []
        thread = threading.Thread(target=lambda: others.append(moments.now()))
        thread.start()
        thread.join()
        assert others == [0]
        now_s[0] += MOMENT_S
        assert moments.now() not in {0, first}
    assert moments.now() == 0
    with moments:
        assert moments.now() > first + 1
