"""Every kind of lie about the toy program, and the rule that should catch it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from challenger.defender import Behaviour
from rollup.form.encoding import TracePolicy
from rollup.game.moves import Rule
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, outputs_of, toy_program, with_lie
from tests.world import INPUTS, RIGHT

PROGRAMS = {policy: toy_program(policy) for policy in TracePolicy}

Lie = Callable[[NetworkWorld, Behaviour], Claimed]


def lie_in_output(network: NetworkWorld, behaviour: Behaviour) -> Claimed:
    """A right trace, and an output that is not in it."""
    outputs = [np.array(value) for value in outputs_of(network.program, RIGHT)]
    outputs[1][0] += 1
    return network.claim("liar", INPUTS, Published(network.program, RIGHT), outputs, behaviour)


def lie_in_op(value: int, element: int, consistent: bool) -> Lie:
    """One wrong element of one op; with ``consistent``, everything after it follows from the lie."""

    def claim(network: NetworkWorld, behaviour: Behaviour) -> Claimed:
        values = with_lie(network.program, RIGHT, value, element, consistent)
        outputs = outputs_of(network.program, values)
        return network.claim("liar", INPUTS, Published(network.program, values), outputs, behaviour)

    return claim


def lie_about_input(network: NetworkWorld, behaviour: Behaviour) -> Claimed:
    """A right execution, of another input than the claim's."""
    values = with_lie(network.program, RIGHT, 0, 599, by=3000)
    return network.claim(
        "liar", INPUTS, Published(network.program, values), outputs_of(network.program, values), behaviour
    )


def lie_in_padding(value: int, offset: int) -> Lie:
    """A right execution, with a byte where there is none."""

    def claim(network: NetworkWorld, behaviour: Behaviour) -> Claimed:
        return network.claim("liar", INPUTS, Published(network.program, RIGHT, (value, offset)), None, behaviour)

    return claim


LIES: dict[str, tuple[Lie, Rule]] = {
    "output": (lie_in_output, Rule.OUTPUT),
    "first element of the first op": (lie_in_op(2, 0, True), Rule.STEP),
    "last element of a tensor of three leaves": (lie_in_op(2, 599, True), Rule.STEP),
    "op with a constant, inconsistently": (lie_in_op(3, 300, False), Rule.STEP),
    "reduction": (lie_in_op(4, 5, True), Rule.STEP),
    "op with a filled access": (lie_in_op(5, 4, True), Rule.STEP),
    "maximum": (lie_in_op(6, 0, True), Rule.STEP),
    "arg-max": (lie_in_op(7, 0, True), Rule.STEP),
    "last op": (lie_in_op(8, 5, True), Rule.STEP),
    "input": (lie_about_input, Rule.INPUT),
    "padding of an op's last leaf": (lie_in_padding(4, 24), Rule.PADDING),
    "a whole leaf after an op's end": (lie_in_padding(6, 3000), Rule.PADDING),
    "unused entry": (lie_in_padding(9, 0), Rule.PADDING),
    "last unused entry": (lie_in_padding(15, 4095), Rule.PADDING),
    "padding of an input": (lie_in_padding(1, 100), Rule.INPUT),
}
