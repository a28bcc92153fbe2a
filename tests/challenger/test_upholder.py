"""A claimant with nothing but its key and its programs upholds every claim that it ever made."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from challenger.defender import Behaviour, Upholder
from challenger.play.known import KnownTrace
from challenger.watch.guard import LagGuard
from rollup.claim import arrays
from rollup.errors import ChainError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.types import Duration, Gindex, ModelId
from tests.contracts.dispute_gas import upload
from tests.e2e.lies import INPUTS, PROGRAMS
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, toy_inputs, values_of
from tests.world import ETHER, TERMS


@dataclass
class Deriving:
    """Derives traces from input bytes, and counts how often."""

    derived: list[bytes] = field(default_factory=list)

    def __call__(self, program: Program, inputs: bytes) -> KnownTrace:
        self.derived.append(inputs)
        return Published(program, values_of(program, arrays(inputs, program.header.inputs, "input")))


def upholder(
    network: NetworkWorld, traces: Deriving, client: L1Client | None = None, held: bool = True, kept: int = 8
) -> Upholder:
    def program(model_id: ModelId) -> Program | None:
        return network.program if held and model_id == network.program.id else None

    return Upholder(client or network.client("honest"), program, traces, kept=kept)


def attack(network: NetworkWorld, claimed: Claimed, name: str = "eve") -> None:
    eve = network.client(name)
    eve.challenge(claimed.posted.claim, claimed.inclusion, value=network.parameters.challenge_bond)


def silent(network: NetworkWorld, seed: int = 0) -> Claimed:
    """A right claim of an account that somebody else upholds, or nobody."""
    return network.claim("honest", toy_inputs(seed), behaviour=Behaviour.SILENT)


@pytest.fixture
def network() -> NetworkWorld:
    return NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])


@pytest.mark.parametrize("policy", list(TracePolicy), ids=lambda policy: policy.name.lower())
def test_a_claim_is_upheld_from_l1_alone_through_a_restart_before_every_move(policy: TracePolicy) -> None:
    network = NetworkWorld(PROGRAMS[policy])
    claimed = silent(network)
    network.claims.clear()
    eve = network.client("eve")
    attack(network, claimed)
    (game,) = eve.games_of(claimed.claim_id)
    right = Published(network.program, values_of(network.program, toy_inputs(0)))
    traces, calls = Deriving(), []
    for _ in range(12):
        calls += [receipt.call for receipt in upholder(network, traces).poll()]
        state = eve.game(game)
        if not state.live or state.turn is None:
            break
        levels = min(TERMS.arity, network.program.depth - (state.position.bit_length() - 1))
        if levels and state.turn.value == "challenger":
            below = Gindex(state.position << levels)
            eve.select(
                state.at, below, right.node(below), [right.node(Gindex((below >> j) ^ 1)) for j in range(levels)]
            )
        else:
            network.chain.advance(TERMS.clock + 1)
    network.chain.advance(TERMS.window + 1)
    calls += [receipt.call for receipt in upholder(network, traces).poll()]
    assert upholder(network, traces).poll() == []
    first = ["setTraceRoot"] if policy is TracePolicy.ON_DISPUTE else []
    assert calls == [*first, *["reveal"] * (network.program.depth // TERMS.arity), "revealLeaf", "timeout", "release"]
    assert network.status(claimed) is ClaimStatus.FINAL
    account = claimed.client.account
    assert network.deployer.locked(account) == 0 and network.deployer.earnings(account) > 0
    assert network.deployer.balance(account) == ETHER


def test_no_trace_is_derived_while_nobody_attacks(network: NetworkWorld) -> None:
    traces = Deriving()
    claimed = silent(network)
    one = upholder(network, traces)
    for _ in range(3):
        one.poll()
        network.chain.advance(TERMS.window // 2)
    assert one.mine() == [claimed.claim_id]
    assert network.status(claimed) is ClaimStatus.FINAL
    assert [receipt.call for receipt in one.costs.of(claimed.claim_id)] == ["release"]
    assert traces.derived == []


def test_traces_are_derived_once_and_the_least_recently_used_are_dropped(network: NetworkWorld) -> None:
    claims = [silent(network, seed) for seed in range(3)]
    for number, claimed in enumerate(claims):
        attack(network, claimed, f"eve {number}")
    traces = Deriving()
    one = upholder(network, traces, kept=2)
    assert [receipt.call for receipt in one.poll()] == ["reveal"] * 3
    one.poll()
    assert len(traces.derived) == 3 and len(one._traces) == 2


def test_claims_of_others_and_of_programs_that_are_not_held_are_left_alone(network: NetworkWorld) -> None:
    mine = silent(network)
    other = network.claim("other", toy_inputs(1), behaviour=Behaviour.SILENT)
    for claimed in (mine, other):
        attack(network, claimed)
    traces = Deriving()
    assert upholder(network, traces, held=False).poll() == []
    one = upholder(network, traces)
    assert [receipt.call for receipt in one.poll()] == ["reveal"]
    assert one.mine() == [mine.claim_id] and one.troubles == {}


def test_a_claim_whose_input_was_uploaded_is_upheld(network: NetworkWorld) -> None:
    honest = network.client("honest")
    honest.assemble(network.program.id, False, [upload(honest, array.tobytes()) for array in INPUTS])
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT, uploaded=True)
    attack(network, claimed)
    assert [receipt.call for receipt in upholder(network, Deriving()).poll()] == ["reveal"]


def test_a_trace_that_cannot_be_derived_holds_up_no_other_claim(network: NetworkWorld) -> None:
    first, second = silent(network, 1), silent(network, 2)
    for claimed in (first, second):
        attack(network, claimed)

    class Failing(Deriving):
        def __call__(self, program: Program, inputs: bytes) -> KnownTrace:
            if inputs == first.posted.inputs:
                raise MemoryError("there is no room for this trace")
            return super().__call__(program, inputs)

    one = upholder(network, Failing())
    assert [receipt.call for receipt in one.poll()] == ["reveal"]
    assert list(one.troubles) == [first.claim_id] and one.costs.of(second.claim_id)


def test_an_upholder_that_runs_for_long_forgets_what_is_settled_and_released(network: NetworkWorld) -> None:
    client = network.client("honest")
    one = Upholder(client, lambda model_id: network.program, Deriving(), remember=Duration(0))
    one.l1.follow(client, 4)
    silent(network, 1)
    network.chain.advance(TERMS.window + 1)
    network.chain.mine(8)
    assert [receipt.call for receipt in one.poll()] == ["release"]
    assert len(one.l1.claims) == 1
    network.chain.mine(8)
    one.poll()
    assert (one.l1.claims, one.l1.batches, one.costs.receipts) == ({}, {}, {})


def test_nothing_is_answered_or_released_while_the_node_lags(network: NetworkWorld) -> None:
    """A claimant that acts on an old state sends what is refused, or answers where nobody asks any more."""
    late = [0.0]
    client = network.client("honest")
    guard = LagGuard(60, lambda: network.chain.now() + late[0])
    one = Upholder(client, lambda model_id: network.program, Deriving(), guard=guard)
    final, attacked = silent(network, 1), silent(network, 2)
    attack(network, attacked)
    sent = network.chain.nonce(client.account)
    late[0] = 61
    assert one.poll() == [] and one.lag is not None and "61 s old" in one.lag
    assert network.chain.nonce(client.account) == sent
    late[0] = 0
    assert [receipt.call for receipt in one.poll()] == ["reveal"] and one.lag is None
    network.chain.advance(TERMS.window + 1)
    late[0] = 61
    assert one.poll() == []
    late[0] = 0
    assert one.poll() != []
    assert network.status(final) is ClaimStatus.FINAL


def test_a_flood_of_claims_that_became_final_costs_no_game_its_clock(network: NetworkWorld) -> None:
    """Games come first, and all those bonds are freed in one transaction."""
    claims = [silent(network, seed) for seed in range(5)]
    network.chain.advance(TERMS.window + 1)
    attacked = silent(network, 5)
    attack(network, attacked)
    one = upholder(network, Deriving())
    calls = []
    while moves := one.poll():
        calls.append([receipt.call for receipt in moves])
    assert calls == [["reveal", "releaseAll"]]
    assert all(network.status(claimed) is ClaimStatus.FINAL for claimed in claims)
    assert all(network.deployer.is_released(claimed.inclusion) for claimed in claims)


def test_a_flood_of_games_about_one_claim_costs_no_other_claim_its_clock(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("challenger.defender.GAMES", 3)
    flooded, other = silent(network, 1), silent(network, 2)
    for number in range(9):
        attack(network, flooded, f"eve {number}")
    attack(network, other)
    client = network.client("honest")
    one = upholder(network, Deriving(), client)
    looks: list[bytes] = []
    look = client.game
    monkeypatch.setattr(client, "game", lambda game, block: looks.append(game.game_id) or look(game, block))
    answered = []
    for _ in range(4):
        one.poll()
        answered.append((bool(one.costs.of(flooded.claim_id)), bool(one.costs.of(other.claim_id))))
    assert answered[0] == (True, False) and answered[-1] == (True, True)
    assert len(set(looks)) == 10 and len(looks) == 12


def test_a_node_that_does_not_answer_ends_the_round_and_the_next_one_goes_on(
    network: NetworkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = [silent(network, seed) for seed in range(2)]
    for claimed in claims:
        attack(network, claimed)
    one = upholder(network, Deriving())

    def down(*_: object) -> None:
        raise ChainError("the chain did not answer the request")

    with monkeypatch.context() as outage:
        outage.setattr(network.chain, "transact", down)
        with pytest.raises(ChainError):
            one.poll()
    assert [receipt.call for receipt in one.poll()] == ["reveal"] * 2
    assert one.troubles == {}
