"""The whole way on a real EVM: honest claims become final, every lie is convicted by the rule that should catch it."""

from __future__ import annotations

import pytest

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour
from challenger.play.accusation import accuse, leftmost_difference
from challenger.play.reading import layout_of
from challenger.play.witnesses import witness
from challenger.watch.watcher import Watcher
from rollup.claim import NO_ROOT
from rollup.errors import AuditError, ProgramError, Reverted
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1.account.signing import trace_root_digest
from rollup.l1.answers import At, ClaimStatus
from rollup.l1.events import Challenged
from rollup.machine.witness import step_witness
from rollup.types import Gindex
from tests.arity import deep_program
from tests.e2e.lies import INPUTS, LIES, PROGRAMS, RIGHT, lie_about_input, lie_in_op, lie_in_output
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, toy_inputs, with_lie
from tests.world import ETHER, TERMS


def convicted_by(network: NetworkWorld, claimed: Claimed) -> Rule:
    claimed.defender.l1.read(claimed.client)
    assert network.status(claimed) is ClaimStatus.INVALID
    return claimed.defender.l1.convicted[claimed.claim_id].rule


@pytest.mark.parametrize("policy", list(TracePolicy), ids=lambda policy: policy.name.lower())
def test_an_honest_claim_becomes_final_and_its_bond_is_free(policy: TracePolicy) -> None:
    network = NetworkWorld(PROGRAMS[policy])
    watcher, _ = network.watch()
    claimed = network.claim("honest", INPUTS)
    network.settle()
    assert watcher.checked[claimed.claim_id].finding.honest
    assert network.status(claimed) is ClaimStatus.FINAL
    account = claimed.client.account
    assert (network.deployer.balance(account), network.deployer.locked(account)) == (ETHER, 0)
    claimed.client.announce_withdrawal(ETHER)
    network.chain.advance(TERMS.withdrawal_delay)
    claimed.client.complete_withdrawal()
    assert network.deployer.balance(account) == 0
    network.check_money("watcher")


@pytest.mark.parametrize("lie", LIES, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("behaviour", [Behaviour.PUBLISHES, Behaviour.WITHHOLDS], ids=["direct", "interactive"])
def test_every_lie_is_convicted_by_the_rule_that_should_catch_it(lie: str, behaviour: Behaviour) -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher, client = network.watch()
    tell, rule = LIES[lie]
    claimed = tell(network, behaviour)
    network.settle()
    assert not watcher.checked[claimed.claim_id].finding.honest
    assert convicted_by(network, claimed) is rule
    if behaviour is Behaviour.PUBLISHES:
        assert [receipt.call for receipt in watcher.costs.of(claimed.claim_id)] == ["challenge", "prove"]
    assert client.earnings(client.account) == TERMS.challenge_bond + TERMS.reward
    assert network.deployer.burned() == TERMS.claim_bond - TERMS.reward
    network.check_money("watcher")


@pytest.mark.parametrize("lie", ["output", "reduction", "input"])
@pytest.mark.parametrize("behaviour", [Behaviour.PUBLISHES, Behaviour.WITHHOLDS], ids=["direct", "interactive"])
def test_lies_are_convicted_when_the_trace_is_given_on_dispute(lie: str, behaviour: Behaviour) -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.ON_DISPUTE])
    network.watch()
    tell, rule = LIES[lie]
    claimed = tell(network, behaviour)
    assert claimed.posted.claim.trace_root == NO_ROOT
    network.settle()
    assert convicted_by(network, claimed) is rule
    assert claimed.defender.costs.gas_by_move(claimed.claim_id)["setTraceRoot"] > 0


@pytest.mark.parametrize("policy", list(TracePolicy), ids=lambda policy: policy.name.lower())
def test_a_silent_liar_loses_by_timeout(policy: TracePolicy) -> None:
    network = NetworkWorld(PROGRAMS[policy])
    watcher, client = network.watch()
    claimed = lie_in_op(4, 0, True)(network, Behaviour.SILENT)
    network.settle()
    assert convicted_by(network, claimed) is Rule.TIMEOUT
    assert [receipt.call for receipt in watcher.costs.of(claimed.claim_id)] == ["challenge", "timeout"]
    assert client.earnings(client.account) == TERMS.challenge_bond + TERMS.reward + TERMS.collect_fee
    network.check_money("watcher")


def test_the_watcher_finds_the_lies_and_nothing_else() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher, _ = network.watch()
    honest = [network.claim(f"honest {seed}", toy_inputs(seed)) for seed in (1, 2)]
    false = [lie_in_output(network, Behaviour.PUBLISHES), lie_about_input(network, Behaviour.WITHHOLDS)]
    network.settle()
    assert list(watcher.false_claims()) == [claimed.claim_id for claimed in false]
    assert [network.status(claimed) for claimed in honest] == [ClaimStatus.FINAL] * 2
    assert [network.status(claimed) for claimed in false] == [ClaimStatus.INVALID] * 2
    network.check_money("watcher")


@pytest.mark.parametrize("value", range(2, 9))
def test_an_honest_claim_attacked_at_any_op_survives_and_the_attacker_loses_its_bond(value: int) -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.WITHHOLDS)
    attacker = network.client("attacker")
    claim, program = claimed.posted.claim, network.program
    attacker.fund(ETHER)
    # The attacker insists on a difference at this op: it walks down to its leaf and offers the true step as a proof.
    leaf = value << program.header.tensor_depth
    place = Gindex((1 << program.depth) | leaf)
    receipt = attacker.challenge(
        claim, claimed.inclusion, attacker.commitment(claimed.claim_id, claim.trace_root, place, bytes(32))
    )
    game = receipt.one(Challenged)
    lied = Published(program, with_lie(program, RIGHT, value))
    while True:
        network.round()
        at = attacker.game(game).at
        layout = layout_of(claimed.defender.l1, program, claimed.claim_id)
        claimed.defender.l1.read(attacker)
        position = attacker.game(game).position
        if position.bit_length() - 1 == program.depth:
            break
        known = Published(program, RIGHT)
        found = leftmost_difference(layout, lied, known, position, at.node)
        levels = min(TERMS.arity, found.position.bit_length() - position.bit_length())
        above = Gindex(found.position >> (found.position.bit_length() - position.bit_length() - levels))
        siblings = [known.node(Gindex((above >> shift) ^ 1)) for shift in range(levels)]
        attacker.select(at, above, known.node(above), siblings)
    witness = _step_witness(program, leaf)
    with pytest.raises(Reverted) as refused:
        attacker.prove(attacker.game(game).at, claim, place, bytes(32), Rule.STEP, witness)
    assert refused.value.name == "NoMismatch"
    moves = attacker.game(game).moves + 1
    network.settle()
    assert network.status(claimed) is ClaimStatus.FINAL
    assert attacker.earnings(attacker.account) == ETHER - TERMS.challenge_bond
    assert network.deployer.balance(claimed.client.account) == ETHER
    assert network.deployer.earnings(claimed.client.account) == moves * TERMS.move_fee + TERMS.collect_fee
    network.check_money("attacker")


def _step_witness(program: Program, leaf: int) -> bytes:
    trace = Published(program, RIGHT)
    return step_witness(program, RIGHT, trace, leaf, trace.leaf_bytes(leaf), 0)


def test_sybil_challengers_make_the_defender_say_nothing_twice() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.WITHHOLDS)
    names = [f"sybil {number}" for number in range(4)]
    for name in names:
        sybil = network.client(name)
        sybil.challenge(claimed.posted.claim, claimed.inclusion, value=TERMS.challenge_bond)
    network.settle()
    assert network.status(claimed) is ClaimStatus.FINAL
    assert [receipt.call for receipt in claimed.defender.costs.of(claimed.claim_id)] == ["reveal", "timeout", "release"]
    network.check_money(*names)


def test_a_claimant_that_challenges_itself_first_protects_nothing() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    network.watch()
    claimed = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    claimed.client.challenge(claimed.posted.claim, claimed.inclusion, value=TERMS.challenge_bond)
    network.settle()
    assert convicted_by(network, claimed) is Rule.STEP
    reclaimed = claimed.client.games_of(claimed.claim_id)
    own = [game for game in reclaimed if game.challenger == claimed.client.account]
    claimed.client.reclaim([claimed.client.game(game).ref for game in own])
    assert network.deployer.locked(claimed.client.account) == 0
    network.check_money("watcher")


def test_a_copied_proof_earns_its_copier_nothing() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher, client = network.watch()
    claimed = lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
    claim = claimed.posted.claim
    watcher.poll()
    # The watcher has challenged; its proof is in the mempool, and a copier sees it.
    layout = layout_of(watcher.l1, network.program, claimed.claim_id)
    own = watcher.checked.use(claimed.claim_id)
    published = network.traces.traces[claimed.claim_id]
    accusation = accuse(layout, own, published, claim.trace_root)
    assert accusation is not None
    proof = witness(accusation, layout, own, published, claim.trace_root, claimed.posted.inputs, claimed.posted.outputs)
    copier = network.client("copier")
    game = copier.challenge(claim, claimed.inclusion, value=TERMS.challenge_bond).one(Challenged)
    salt = client.derive(b"salt" + claimed.claim_id + accusation.position.to_bytes(16, "big"))
    with pytest.raises(Reverted, match="select or commit, then wait a block") as refused:
        copier.prove(copier.game(game).at, claim, accusation.position, salt, accusation.rule, proof)
    assert refused.value.name == "PlaceNotReached"
    copied = client.game(watcher.l1.opened(claimed.claim_id)[0]).commitment if watcher.l1.disputed else b""
    watcher.l1.read(client)
    theirs = watcher.l1.opened(claimed.claim_id)[0]
    stolen = At(client.game(theirs).ref, claim.trace_root)
    with pytest.raises(Reverted) as refused:
        copier.prove(stolen, claim, accusation.position, salt, accusation.rule, proof)
    assert refused.value.name == "NotChallenger"
    copier.commit(copier.game(game).at, copied or client.game(theirs).commitment)
    with pytest.raises(Reverted) as refused:
        copier.prove(copier.game(game).at, claim, accusation.position, salt, accusation.rule, proof)
    assert refused.value.name == "PlaceNotReached"
    network.settle()
    assert network.deployer.earnings(client.account) == TERMS.challenge_bond + TERMS.reward
    copier.reclaim([copier.game(game).ref])
    assert network.deployer.earnings(copier.account) == TERMS.challenge_bond
    network.check_money("watcher", "copier")


def test_a_watcher_that_starts_again_in_the_middle_goes_on_from_l1() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    first, client = network.watch()
    claimed = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    for _ in range(40):
        network.round()
        network.watchers.clear()
        again, _ = network.watch()
        assert again is not first and not again.checked
        if network.status(claimed) is ClaimStatus.INVALID:
            break
    assert convicted_by(network, claimed) is Rule.STEP
    games = claimed.client.games_of(claimed.claim_id)
    assert [game.challenger for game in games] == [client.account]


def test_a_watcher_with_the_jax_executor_and_the_audit_needs_nothing_else() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    client = network.client("watcher")
    watcher = Watcher(client, network.traces)
    watcher.hold(network.program)
    network.watchers.append(watcher)
    honest = network.claim("honest", INPUTS)
    false = lie_in_op(7, 0, True)(network, Behaviour.WITHHOLDS)
    network.settle()
    assert network.status(honest) is ClaimStatus.FINAL
    assert convicted_by(network, false) is Rule.STEP


def test_a_program_that_fails_the_audit_is_not_watched() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher = Watcher(network.client("watcher"), network.traces, Reference)
    with pytest.raises(AuditError, match="trace and tensor depth"):
        watcher.hold(deep_program())


def test_whoever_sends_a_signed_trace_root_helps_the_claimant() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.ON_DISPUTE])
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    helper = network.client("helper")
    helper.challenge(claimed.posted.claim, claimed.inclusion, value=TERMS.challenge_bond)
    root = Published(network.program, RIGHT).root
    digest = trace_root_digest(claimed.claim_id, root, helper.domain)
    with pytest.raises(Reverted) as refused:
        helper.set_trace_root(claimed.claim_id, root, network.chain.signer("helper").sign(digest))
    assert refused.value.name == "NotClaimant"
    helper.set_trace_root(claimed.claim_id, root, network.chain.signer("honest").sign(digest))
    assert helper.dispute(claimed.claim_id).trace_root == root


class Failing:
    """A publication whose leaves raise what no trace raises."""

    def __init__(self, trace: Published) -> None:
        self.node = trace.node

    def leaf_bytes(self, leaf: int) -> bytes:
        raise ProgramError("a trap; do not step on it")


class Numbers:
    """A publication that gives no hashes and no bytes."""

    def __init__(self, trace: Published) -> None:
        pass

    def node(self, gindex: Gindex) -> int:
        return int(gindex)

    def leaf_bytes(self, leaf: int) -> int:
        return leaf


@pytest.mark.parametrize("publication", [Failing, Numbers])
def test_a_broken_publication_does_not_keep_a_watcher_from_playing(publication: type) -> None:
    """It is somebody else's file: what it does not give, the game demands."""
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher, _ = network.watch()
    trap = lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
    other = lie_in_op(7, 0, True)(network, Behaviour.PUBLISHES)
    network.traces.traces[trap.claim_id] = publication(network.traces.traces[trap.claim_id])
    network.settle()
    assert [network.status(one) for one in (trap, other)] == [ClaimStatus.INVALID] * 2
    assert [receipt.call for receipt in watcher.costs.of(other.claim_id)] == ["challenge", "prove"]
    assert "prove" in [receipt.call for receipt in watcher.costs.of(trap.claim_id)]
    assert watcher.troubles == {}
