"""A dispute about one of 2^20 leaves, against a defender that withholds its trace."""

from __future__ import annotations

from rollup.settings import Parameters
from tests.arity import TENSOR_DEPTH, TRACE_DEPTH, dispute


def test_a_dispute_about_2_to_the_20_leaves_takes_the_challenger_six_moves_at_the_default_arity() -> None:
    assert TRACE_DEPTH + TENSOR_DEPTH == 20
    played = dispute(Parameters().arity)
    assert played["challenger_moves"] == 6
    assert played["defender_moves"] == 5
