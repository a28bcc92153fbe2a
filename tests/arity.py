"""What a whole dispute costs by arity: `python -m tests.arity` rewrites the curve, tests/arity.json.

One element-wise op of a trace of 2^20 leaves is disputed interactively, against a defender that withholds its trace,
and played to the end on the embedded chain; every transaction of both sides counts, calldata floor included: under Prague's
rules, and where a byte of calldata costs 64 gas at least (EIP-7976).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from challenger.defender import Behaviour
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.game.moves import Rule
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, values_of, with_lie
from tests.world import terms

SNAPSHOT = Path(__file__).with_name("arity.json")
TRACE_DEPTH, TENSOR_DEPTH = 13, 7
ARITIES = range(1, 7)


def deep_program() -> Program:
    """The toy program in a tree of 2^20 leaves, of which it uses a few: what is not used is zero subtrees."""
    toy = toy_program(TracePolicy.WITH_CLAIM)
    header = replace(toy.header, trace_depth=TRACE_DEPTH, tensor_depth=TENSOR_DEPTH)
    return replace(toy, header=header)


def dispute(arity: int) -> dict[str, object]:
    """Play one dispute; moves and gas of both sides."""
    # The audit refuses a tree that is deeper than its tensors need, which is what is wanted here.
    network = NetworkWorld(deep_program(), terms(arity=arity), lambda program: program)
    watcher, _ = network.watch()
    inputs = toy_inputs()
    values = with_lie(network.program, values_of(network.program, inputs), 3, 420)
    claimed = network.claim(
        "liar", inputs, Published(network.program, values), outputs_of(network.program, values), Behaviour.WITHHOLDS
    )
    network.settle(200)
    claimed.defender.l1.read(claimed.client)
    assert claimed.defender.l1.convicted[claimed.claim_id].rule is Rule.STEP
    attack, defence = watcher.costs, claimed.defender.costs
    receipts = [receipt for side in (attack, defence) for receipt in side.of(claimed.claim_id)]
    dearer: dict[str, int] = {}
    for receipt in receipts:
        dearer[receipt.call] = dearer.get(receipt.call, 0) + receipt.gas_7976
    return {
        "arity": arity,
        "challenger_moves": attack.moves(claimed.claim_id),
        "defender_moves": defence.moves(claimed.claim_id),
        "gas": attack.gas(claimed.claim_id) + defence.gas(claimed.claim_id),
        "gas_7976": sum(dearer.values()),
        "gas_by_move": attack.gas_by_move(claimed.claim_id) | defence.gas_by_move(claimed.claim_id),
        "gas_7976_by_move": dearer,
    }


def main() -> None:
    curve = [dispute(arity) for arity in ARITIES]
    SNAPSHOT.write_text(json.dumps({"leaves": 1 << (TRACE_DEPTH + TENSOR_DEPTH), "curve": curve}, indent=1) + "\n")
    for row in curve:
        print(
            f"arity {row['arity']}: {row['challenger_moves']:>2} moves of the challenger, "
            f"{row['defender_moves']:>2} of the defender, {row['gas']:>9,} gas, {row['gas_7976']:>9,} under EIP-7976"
        )


if __name__ == "__main__":
    main()
