"""The clock of challenge periods: it never goes back, and a stop is worth exactly its length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rollup.game.stopping import StoppingClock
from rollup.types import Duration, Timestamp

WAITS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=20)
SPACING = Duration(7)


@given(WAITS)
def test_the_reading_never_goes_back_and_never_outruns_time(waits: list[tuple[int, int]]) -> None:
    clock, now = StoppingClock(), Timestamp(1000)
    before = clock.reading(now)
    assert before == 1000
    for seconds, stops in waits:
        for _ in range(stops):
            clock = clock.pause(now, SPACING)
            assert clock.reading(now) == before, "a stop must not move the clock"
        now = Timestamp(now + seconds)
        after = clock.reading(now)
        assert before <= after <= before + seconds
        before = after
    assert clock.stopped == SPACING * sum(stops for _, stops in waits)
    assert clock.reading(Timestamp(max(now, clock.resumes_at))) + clock.stopped == max(now, clock.resumes_at)


@given(WAITS, st.integers(0, 60))
def test_a_period_is_over_just_after_its_real_end(waits: list[tuple[int, int]], window: int) -> None:
    clock, now = StoppingClock(), Timestamp(1000)
    closes_at = Timestamp(now + window)
    over = False
    for seconds, stops in waits:
        for _ in range(stops):
            clock = clock.pause(now, SPACING)
        assert clock.is_over(closes_at, now) == over, (
            "a period that is over stays over, an open one isn't ended by a stop"
        )
        now = Timestamp(now + seconds)
        over = clock.is_over(closes_at, now)
    if not over:
        end = clock.real_end(closes_at)
        assert not clock.is_over(closes_at, Timestamp(max(now, end)))
        assert clock.is_over(closes_at, Timestamp(max(now, end, clock.resumes_at) + 1))


def test_stops_queue_up_behind_one_another() -> None:
    clock = StoppingClock().pause(Timestamp(100), SPACING).pause(Timestamp(103), SPACING)
    assert (clock.resumes_at, clock.stopped) == (114, 14)
    assert [clock.reading(Timestamp(at)) for at in (103, 114, 115)] == [100, 100, 101]
    assert clock.is_stopped(Timestamp(113)) and not clock.is_stopped(Timestamp(114))
    late = clock.pause(Timestamp(200), SPACING)
    assert (late.resumes_at, late.stopped, late.reading(Timestamp(207))) == (207, 21, 186)
