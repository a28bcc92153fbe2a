"""Every price of the audit's table holds on the compiled contract, at the worst that each thing can be made to cost."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from rollup.audit.prices import PRICES, Prices
from rollup.form.ops import Opcode
from tests.contracts import around
from tests.contracts.probes import Meter, Probe, probes

PROBES = probes()
UNPRICED = {"searches"}
"""Differences between calls that have the same bound: what they differ in is in the bound of both."""


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    meter = Meter()
    return {name: probe.real(meter) for name, probe in PROBES.items()}


@pytest.fixture(scope="module")
def added() -> dict[str, dict[str, int]]:
    return around.measure()


@pytest.fixture(scope="module")
def long_witness() -> tuple[int, int]:
    return around.long_witness()


@pytest.mark.parametrize("function", ["prove", "descend", "settle"])
def test_the_game_adds_no_more_to_a_proof_than_its_price_whatever_others_did(
    function: str, added: dict[str, dict[str, int]]
) -> None:
    price = getattr(PRICES, function)
    over = {scene: gas for scene, gas in added[function].items() if gas > price}
    assert not over
    assert price <= 1.03 * max(added[function].values()), "far above what was measured"


def test_the_game_hands_a_long_witness_on_for_the_price_of_its_bytes(
    added: dict[str, dict[str, int]], long_witness: tuple[int, int]
) -> None:
    gas, handed = long_witness
    assert max(added["prove"], key=lambda scene: added["prove"][scene]) == str(around.DEAREST)
    assert handed > 16 << 10
    assert max(added["prove"].values()) < gas <= PRICES.prove + PRICES.byte * handed


def test_what_the_game_adds_is_what_the_snapshot_says(
    added: dict[str, dict[str, int]], long_witness: tuple[int, int]
) -> None:
    assert around.dearest(added, long_witness) == json.loads(around.SNAPSHOT.read_text()), "run `make gas`"


def test_nothing_costs_more_than_its_price(measured: dict[str, int]) -> None:
    over = {
        name: (measured[name], probe.bound(PRICES))
        for name, probe in PROBES.items()
        if name not in UNPRICED and measured[name] > probe.bound(PRICES)
    }
    assert not over


def test_whole_calls_cost_no_more_than_their_bound(measured: dict[str, int]) -> None:
    meter = Meter()
    for name, probe in PROBES.items():
        for case in (probe.less, probe.more):
            assert case.execution(meter) <= case.bound(PRICES), name


@pytest.mark.parametrize("opcode", [opcode for opcode in Opcode if opcode not in (Opcode.LOAD, Opcode.GATHER)])
def test_a_price_of_an_instruction_that_is_too_low_is_seen(opcode: Opcode, measured: dict[str, int]) -> None:
    name = f"instruction {opcode.name}"
    cheap = replace(PRICES, instructions={**PRICES.instructions, opcode: PRICES.instructions[opcode] * 3 // 4})
    assert measured[name] > PROBES[name].bound(cheap)


SEEN = [
    field.name
    for field in fields(Prices)
    if field.name in {"sum", "wide_sum", "dot", "wide_dot", "extreme", "product", "wide_product", "output_dimension"}
]


@pytest.mark.parametrize("price", SEEN)
def test_a_price_that_is_too_low_is_seen(price: str, measured: dict[str, int]) -> None:
    cheap = replace(PRICES, **{price: getattr(PRICES, price) * 3 // 4})

    def is_over(name: str, probe: Probe) -> bool:
        return name not in UNPRICED and measured[name] > probe.bound(cheap)

    assert any(is_over(name, probe) for name, probe in PROBES.items())
