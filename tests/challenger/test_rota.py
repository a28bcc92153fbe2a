"""Whoever waits has its turn, however many others there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from challenger.rota import Rota


@given(st.integers(1, 20), st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_everything_has_its_turn_once_in_as_many_turns_as_it_takes(most: int, lengths: list[int]) -> None:
    rota = Rota(most)
    for length in lengths:
        things = list(range(length))
        seen: list[int] = []
        for _ in range(-(-length // most)):
            turn = rota.turn(things)
            assert len(turn) == min(most, length) and len(set(turn)) == len(turn)
            seen += turn
        assert set(seen) == set(things)
