"""Every price of the audit's table holds on the compiled contract, at the worst that each thing can be made to cost."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from rollup.audit.prices import PRICES, Prices
from rollup.ops import Opcode
from tests.contracts.probes import Meter, Probe, probes

PROBES = probes()
UNPRICED = {"searches"}
"""Differences between calls that have the same bound: what they differ in is in the bound of both."""


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    meter = Meter()
    return {name: probe.real(meter) for name, probe in PROBES.items()}


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


@pytest.mark.parametrize("opcode", [opcode for opcode in Opcode if opcode not in (Opcode.LOAD, Opcode.LOOK)])
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
