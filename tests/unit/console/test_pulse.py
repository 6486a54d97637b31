"""Do totals become speeds, with gaps where nobody looked, in bounded room?"""

from __future__ import annotations

from penstock.console.pulse import SAMPLES_MAX, Pulse, Sample, Totals, columns

SECOND = 1_000_000_000


def sample(at_s: int, in_bytes: int, out_bytes: int = 0, **flows: int) -> Sample:
    by_flow = {name: Totals(in_bytes=moved) for name, moved in flows.items()}
    by_flow["one"] = Totals(in_bytes=in_bytes, out_bytes=out_bytes)
    return Sample(at_ns=at_s * SECOND, flows=by_flow)


def test_totals_become_speeds() -> None:
    pulse = Pulse()
    for each in (sample(10, 0), sample(11, 100, 7), sample(13, 500, 7)):
        pulse.take(each)
    assert columns(pulse.beats(["one"])) == ([11, 13], [100, 200], [7, 0])


def test_one_dataflow_has_its_own() -> None:
    pulse = Pulse()
    for each in (sample(10, 0), sample(11, 100, a=40), sample(12, 200, a=50, b=90)):
        pulse.take(each)
    assert columns(pulse.beats(["a"]))[1] == [40, 10]
    assert columns(pulse.beats(["b"]))[1] == [0, 90]
    assert columns(pulse.beats(["a", "b", "never"]))[1] == [40, 100]
    assert columns(pulse.beats([]))[1] == [0, 0]


def test_nobody_knows_what_was_while_nobody_looked() -> None:
    pulse = Pulse()
    for each in (sample(10, 0), sample(100, 9000), sample(101, 9100)):
        pulse.take(each)
    assert columns(pulse.beats(["one"]))[1] == [None, 100]


def test_a_counter_that_begins_anew_is_no_speed_below_zero() -> None:
    pulse = Pulse()
    pulse.take(sample(10, 500))
    pulse.take(sample(11, 3))
    assert columns(pulse.beats(["one"]))[1] == [0]


def test_a_clock_that_stands_adds_nothing() -> None:
    pulse = Pulse()
    for each in (sample(10, 0), sample(10, 5), sample(9, 9), sample(11, 20)):
        pulse.take(each)
    assert columns(pulse.beats(["one"])) == ([11], [20], [0])


def test_only_what_is_newer_is_told_again() -> None:
    pulse = Pulse()
    for at_s in range(10, 15):
        pulse.take(sample(at_s, at_s))
    assert [beat.at_s for beat in pulse.beats(["one"], after_s=12)] == [13, 14]


def test_the_past_is_bounded() -> None:
    pulse = Pulse()
    for at_s in range(SAMPLES_MAX * 3):
        pulse.take(sample(at_s, at_s))
    assert len(pulse.beats(["one"])) == SAMPLES_MAX - 1
