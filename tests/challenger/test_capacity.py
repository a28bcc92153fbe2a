"""How many games are played at once: as many as can all be played to their end, whenever their opponents answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from challenger.sending.capacity import MARGIN, Capacity, Work

PACE = Capacity(12.0, 1_000_000)


def simulated(pace: Capacity, games: list[Work]) -> bool:
    """Whether all games end in time if every opponent answers at once, and the one with the least slack is played first; a game's
    moves take a block each, a block has so much gas.
    """
    left = [[work.gas / work.moves] * work.moves for work in games]
    clocks = [work.seconds for work in games]
    while any(left):
        room = float(pace.gas)
        order = sorted(
            (j for j in range(len(games)) if left[j]), key=lambda j: clocks[j] - len(left[j]) * pace.block_seconds
        )
        for j in order:
            clocks[j] -= pace.block_seconds
            if left[j][0] <= room:
                room -= left[j].pop(0)
            if left[j] and clocks[j] < 0:
                return False
            if clocks[j] < 0:
                return False
    return True


works = st.builds(
    Work,
    st.integers(1, 8),
    st.integers(50_000, 900_000),
    st.floats(60, 6000),
)


@given(st.lists(works, min_size=1, max_size=40))
def test_games_that_fit_are_all_played_to_their_end(games: list[Work]) -> None:
    if PACE.fits(games):
        assert simulated(PACE, games)


def test_as_many_games_fit_as_are_said_to_and_no_more() -> None:
    work = Work(6, 1_200_000, 1200.0)
    most = PACE.at_once(work)
    assert most == int((MARGIN * 100 - 6) * 1_000_000 // 1_200_000)
    assert PACE.fits([work] * most) and not PACE.fits([work] * (most + 1))


def test_a_game_with_a_long_clock_does_not_push_aside_one_with_a_short_clock() -> None:
    short, long = Work(2, 400_000, 60.0), Work(2, 400_000, 6000.0)
    assert PACE.fits([short] * 4 + [long] * 400)
    assert not PACE.fits([short] * 6 + [long])
    assert not PACE.fits([short] * 5 + [Work(2, 400_000, 59.0)])


def test_slack_is_what_is_left_beside_the_moves_to_come() -> None:
    assert PACE.slack(Work(3, 1, 100.0)) == 64.0
