"""The gas of one step, whole transactions, is what the snapshot says and within its targets."""

from __future__ import annotations

import json

import pytest

from rollup.audit import gas_bound
from tests.contracts.one_step_gas import LONGEST, SNAPSHOT, Synthetic, measure
from tests.lockstep.evm import artifact
from touchstone.demo.demo import lowered
from touchstone.demo.digits import digits

TARGETS = {
    "dot i16 x i16, 256": 400_000,
    "dot i16 x i16, 1024": 400_000,
    "dot i16 x i16, 4096": 850_000,
    "dot i16 x i8, 4096": 850_000,
    "dot i16 x i16, 16384": 2_800_000,
    "dot i16 x i16, 16384: outline": 60_000,
    "dot i16 x i16, 16384: part of 512": 300_000,
    "dot i16 x i16, 16384: epilogue": 150_000,
    "convolution 3x3x64, inside": 400_000,
    "convolution 3x3x64, corner": 400_000,
    "element-wise, two operands": 230_000,
    "look-up in 65,536 entries": 230_000,
    "row of an embedding": 230_000,
}
"""Gas at most, by op; every other one stays below 5,000,000."""


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, int]]:
    return measure()


def test_gas_is_that_of_the_snapshot(table: dict[str, dict[str, int]]) -> None:
    assert table == json.loads(SNAPSHOT.read_text()), "run `make gas` and look at what changed"


def target(name: str) -> int:
    """Gas at most for an op; what has no target of its own stays below 5,000,000."""
    if name.startswith("digits"):
        return 230_000 if "reduce_window" in name else 400_000
    return TARGETS.get(name, 5_000_000)


def test_gas_stays_within_the_targets(table: dict[str, dict[str, int]]) -> None:
    assert table.keys() > TARGETS.keys()
    over = {name: row["gas"] for name, row in table.items() if row["gas"] > target(name)}
    assert not over, over


def test_bytecode_stays_below_22_kilobytes() -> None:
    assert len(artifact()["deployedBytecode"]) // 2 - 1 < 22_000


def test_the_audits_bounds_hold_for_what_was_measured(table: dict[str, dict[str, int]]) -> None:
    synthetic, (program, _, _) = Synthetic(), Synthetic().build()
    model = lowered(digits()).program
    bounds = {name: gas_bound(op, program) for name, op in zip(synthetic.names, program.ops, strict=True)}
    bounds |= {
        name: gas_bound(op, model)
        for name, op in zip([n for n in table if n.startswith("digits")], model.ops, strict=True)
    }
    assert bounds.keys() == {name for name in table if not name.startswith(f"{LONGEST}:")}
    for name, bound in bounds.items():
        assert bound.gas >= table[name]["gas"] and bound.calldata >= table[name]["calldata"], name
