"""Generated deployments: any parameters that a contract takes, under any conditions."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from rollup.settings import MAX_ARITY, Parameters
from rollup.types import Duration
from rollup.words import GWEI
from touchstone.deployment import gas
from touchstone.deployment.parameters import Conditions, Terms

PARAMS = Path(__file__).parents[3] / "ops" / "params"
MAINNET = PARAMS / "mainnet.toml"

AMOUNTS = st.integers(0, 10**20) | st.integers(0, 10**16)


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    """Blocks of any chain."""
    low, high = sorted(draw(st.tuples(*[st.integers(1, 1000 * GWEI)] * 2)))
    return Conditions(
        block_time=draw(st.integers(1, 60)),
        block_gas=draw(st.integers(5_000_000, 300_000_000)),
        elasticity=draw(st.integers(1, 10)),
        gas_share=draw(st.floats(0.01, 1)),
        outage=draw(st.integers(0, 10**5)),
        hold=draw(st.integers(1, 10**5)),
        gas_prices=(f"{low} wei", f"{high} wei"),
        leaf_depth=draw(st.integers(1, 64)),
    )


@st.composite
def any_parameters(draw: st.DrawFn) -> Parameters:
    """Whatever RollupChain can be deployed with."""
    window = draw(st.integers(1, 10**7))
    reward, collect_fee = draw(AMOUNTS), draw(AMOUNTS)
    return Parameters(
        Duration(window),
        Duration(draw(st.integers(1, 10**7))),
        Duration(draw(st.integers(1, window))),
        Duration(draw(st.integers(1, 10**7))),
        draw(st.integers(1, MAX_ARITY)),
        max(1, 2 * (reward + collect_fee)) + draw(AMOUNTS),
        max(1, collect_fee) + draw(AMOUNTS),
        reward,
        draw(AMOUNTS),
        collect_fee,
    )


@st.composite
def deployments(draw: st.DrawFn) -> Terms:
    """Any of both."""
    return Terms(draw(any_parameters()), draw(conditions()))


@st.composite
def playable(draw: st.DrawFn, least_depth: int = 2, most_depth: int = gas.DEEPEST) -> Terms:
    """Of a measured arity, with a challenge bond that pays for every answer in full."""
    terms = draw(deployments())
    arity, depth = draw(st.integers(1, max(gas.SELECTS))), draw(st.integers(least_depth, most_depth))
    move_fee, collect_fee = draw(st.integers(0, 10**17)), draw(st.integers(0, 10**17))
    due = collect_fee + gas.dispute(arity, gas.DEEPEST).defender_moves * move_fee
    parameters = Parameters(
        *(terms.parameters.window, terms.parameters.clock, terms.parameters.spacing, terms.parameters.withdrawal_delay),
        arity,
        2 * (terms.parameters.reward + collect_fee) + draw(st.integers(1, 10**19)),
        due + draw(st.integers(1, 10**19)),
        terms.parameters.reward,
        move_fee,
        collect_fee,
    )
    return Terms(parameters, terms.conditions.model_copy(update={"leaf_depth": depth}))
