"""How often a ``while`` loop runs, where constants alone decide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import partial_eval

MOST_TRIPS = 1 << 16
"""Loops that run longer are refused: the program would hold that many iterations of their trace."""


def trip_count(
    condition: Any, body: Any, condition_consts: Sequence[Any], body_consts: Sequence[Any], init: Sequence[Any]
) -> int | None:
    """Number of iterations of a ``while`` primitive, None if constants do not tell (or it is more than ``MOST_TRIPS``).

    ``condition`` and ``body`` are its closed jaxprs; None stands for a constant or an initial value that is not known. Only the
    carries that the condition depends on, directly or through what updates them, have to be known.
    """
    check, asked = _restricted(condition, [True])
    needed = asked[len(condition_consts) :]
    while True:
        step, read = _restricted(body, needed)
        wider = [a or b for a, b in zip(needed, read[len(body_consts) :], strict=True)]
        if wider == needed:
            break
        needed = wider
    known = [*compress([*condition_consts, *init], asked), *compress([*body_consts, *init], read)]
    if any(x is None for x in known):
        return None

    @jax.jit
    def advance(state: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Whether one more iteration runs, and the needed carries after it."""
        given = iter(state)
        carry = [next(given) if wanted else None for wanted in needed]
        (runs,) = check(*compress([*condition_consts, *carry], asked))
        return runs, step(*compress([*body_consts, *carry], read))

    state, count = list(compress(init, needed)), 0
    while count <= MOST_TRIPS:
        runs, following = advance(state)
        if not runs:
            return count
        state, count = following, count + 1
    return None


def _restricted(closed: Any, outputs: Sequence[bool]) -> tuple[Callable[..., list[Any]], list[bool]]:
    """The chosen outputs of a closed jaxpr as a function of the inputs that they depend on, and which inputs those are."""
    jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, list(outputs))
    return core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, closed.consts)), list(used)
