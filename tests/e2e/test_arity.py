"""A dispute about one of 2^20 leaves, against a defender that withholds its trace."""

from __future__ import annotations

import json

from rollup.settings import Parameters
from tests.arity import ARITIES, SNAPSHOT, TENSOR_DEPTH, TRACE_DEPTH, dispute

CURVE = json.loads(SNAPSHOT.read_text())["curve"]
DEFAULT = Parameters().arity


def test_a_dispute_about_2_to_the_20_leaves_takes_six_moves_and_at_most_1_1_million_gas_at_the_default_arity() -> None:
    assert TRACE_DEPTH + TENSOR_DEPTH == 20
    played = dispute(DEFAULT)
    assert played["challenger_moves"] <= 6
    assert played["gas"] <= 1_100_000
    assert played == CURVE[DEFAULT - 1], "run `python -m tests.arity` and look at what changed"


def test_the_default_arity_is_the_cheapest() -> None:
    assert [row["arity"] for row in CURVE] == list(ARITIES)
    assert min(CURVE, key=lambda row: row["gas"])["arity"] == DEFAULT
