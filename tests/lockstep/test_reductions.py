"""Reductions with every field of their accesses drawn on its own: the EVM gives what the reference gives, whole and by parts."""

from __future__ import annotations

from rollup.ops import Monoid
from tests.lockstep.campaign import Tally, compare_reduction
from tests.lockstep.evm import Prover, seed_of


def test_evm_reduces_whatever_an_access_says() -> None:
    prover, tally = Prover(), Tally()
    for number in range(300):
        compare_reduction(seed_of("reductions", number), prover, 6, tally)
    print("\n".join(tally.lines()))
    assert tally.by["parts"].keys() == {monoid.name for monoid in Monoid if monoid is not Monoid.NONE}
    assert min(tally.by["parts"].values()) > 60 and tally.by["monoid"]["NONE"] > 20, tally.by
    assert tally.by["source"]["indirect factor"] > 60 and tally.by["source"]["Value stack"] > 60, tally.by
