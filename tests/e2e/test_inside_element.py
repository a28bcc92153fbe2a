"""Disputes about one element of a long reduction: whatever the liar says inside it, the right rule convicts it."""

from __future__ import annotations

import pytest

from challenger.checkers.re_execute import ReExecute
from challenger.defender import Behaviour
from challenger.play.reductions import Reductions
from challenger.watch.watcher import Watcher
from rollup.errors import Reverted
from rollup.form.encoding import TracePolicy
from rollup.form.parts import partition
from rollup.game.moves import Rule
from rollup.game.position import leaf_gindex
from rollup.game.question import Question
from rollup.l1.answers import ClaimStatus
from rollup.l1.calls import EPILOGUE
from rollup.l1.client import L1Client
from rollup.l1.events import Answered, Challenged, Descended, Narrowed
from rollup.machine.reference import Memory
from rollup.machine.witness import epilogue_witness, outline_witness, part_witness
from rollup.verdict import explain
from tests.e2e.long_reductions import ARGUED, LARGEST, LIES, SUMMED, Fast, Forged, false_values, inputs, program
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published
from tests.world import terms

NAMES = {SUMMED: "sum", ARGUED: "largest term", LARGEST: "largest term"}


def network(policy: TracePolicy = TracePolicy.WITH_CLAIM) -> NetworkWorld:
    return NetworkWorld(program(policy), terms(arity=3), reference=Fast)


def lie(net: NetworkWorld, value: int, forged: bool, behaviour: Behaviour, seed: int) -> Claimed:
    right = Fast(net.program).values(inputs(seed))
    values = false_values(right, value, forged)
    claimed = net.claim("liar", inputs(seed), Published(net.program, values), values[1:], behaviour)
    if forged:
        _, part, forge = LIES[value]
        said = Forged(Reductions(net.program, values), part, forge)
        claimed.defender.uphold(claimed.claim_id, net.program, Published(net.program, values), said)
    return claimed


@pytest.mark.parametrize(
    ("behaviour", "policy"),
    [(Behaviour.WITHHOLDS, TracePolicy.ON_DISPUTE), (Behaviour.PUBLISHES, TracePolicy.WITH_CLAIM)],
    ids=["withholds", "publishes"],
)
def test_every_lie_about_a_long_reduction_is_convicted_by_a_part_or_by_the_code(
    behaviour: Behaviour, policy: TracePolicy
) -> None:
    net = network(policy)
    watcher, client = net.watch()
    cases = [(value, forged) for value in LIES for forged in (True, False)]
    claims = [lie(net, value, forged, behaviour, seed) for seed, (value, forged) in enumerate(cases)]
    net.settle()
    for claimed, (value, forged) in zip(claims, cases, strict=True):
        assert net.status(claimed) is ClaimStatus.INVALID
        event = watcher.l1.convicted[claimed.claim_id]
        assert (event.rule, event.trace_index, event.element) == (Rule.PART if forged else Rule.EPILOGUE, value, 0)
        finding = explain(net.program, event)
        moves = [receipt.call for receipt in watcher.costs.of(claimed.claim_id)]
        assert ("narrow" in moves) == (value == LARGEST and forged) and moves[-2 - ("narrow" in moves)] == "descend"
        if forged:
            _, part, _ = LIES[value]
            assert event.part == part and NAMES[value] in finding.sentence and f"part {part} of" in finding.sentence
        else:
            assert "from what the claimant itself says" in finding.sentence
    assert client.locked(client.account) == 0 and watcher.troubles == {}
    net.check_money("watcher")


def test_a_liar_who_is_silent_inside_an_element_loses_by_its_clock() -> None:
    net = network()
    watcher, _ = net.watch()
    claimed = lie(net, SUMMED, False, Behaviour.PUBLISHES, 1)
    net.round()
    claimed.defender.behaviour = Behaviour.SILENT
    net.settle()
    assert watcher.l1.convicted[claimed.claim_id].rule is Rule.TIMEOUT


def test_a_watcher_that_starts_again_before_every_move_convicts_all_the_same() -> None:
    net = network()
    net.watch()
    claims = [lie(net, LARGEST, True, Behaviour.WITHHOLDS, 1), lie(net, SUMMED, False, Behaviour.WITHHOLDS, 2)]
    for _ in range(40):
        net.watchers.clear()
        watcher, client = net.watch()
        net.round()
        if all(net.status(claimed) is ClaimStatus.INVALID for claimed in claims):
            break
    watcher.poll()
    assert [watcher.l1.convicted[claimed.claim_id].rule for claimed in claims] == [Rule.PART, Rule.EPILOGUE]
    assert client.locked(client.account) == 0


# Attacks on claims that are right


def descended(net: NetworkWorld, eve: L1Client, claimed: Claimed, value: int) -> tuple[Challenged, Question]:
    """Eve goes inside the only element of a right value."""
    claim = claimed.posted.claim
    place = leaf_gindex(value << net.program.header.tensor_depth, net.program.depth)
    named = eve.commitment(claimed.claim_id, claim.trace_root, place, bytes(32))
    game = eve.challenge(claim, claimed.inclusion, named, net.parameters.challenge_bond).one(Challenged)
    net.chain.mine()
    shown = outline_witness(net.program, value << net.program.header.tensor_depth)
    receipt = eve.descend(eve.game(game).at, claim, place, bytes(32), 0, shown)
    return game, receipt.one(Descended).question


@pytest.mark.parametrize("value", list(LIES), ids=["dot", "arg-max", "maximum"])
def test_a_right_claim_survives_whoever_goes_inside_its_elements(value: int) -> None:
    """Every part and the code are tried, at every level; nothing is proven, and the attacker loses its bond."""
    net = network()
    eve = net.client("eve")
    claimed = net.claim("honest", inputs(3))
    values = Fast(net.program).values(inputs(3))
    trace = Published(net.program, values)
    game, question = descended(net, eve, claimed, value)
    leaf = value << net.program.header.tensor_depth
    while True:
        (answer,) = (
            event for receipt in claimed.defender.poll() for event in receipt.events if isinstance(event, Answered)
        )
        assert answer.claim_id == claimed.claim_id
        results = Reductions(net.program, values).partials(question)
        net.chain.mine()
        at = eve.game(game).at
        if question.level == 0:
            step = Memory(net.program, values).step(value, 0)
            witness = epilogue_witness(net.program, values, trace, leaf, trace.leaf_bytes(leaf), 0, step.reduce())
            with pytest.raises(Reverted) as refused:
                eve.settle(at, claimed.posted.claim, question, results, EPILOGUE, witness)
            assert refused.value.name == "NoMismatch"
        if question.asks_for_parts:
            break
        question = eve.narrow(at, question, results, 1).one(Narrowed).question
    for child in (0, len(results) - 1):
        number = question.part(child)
        assert number < partition(net.program.ops[value - 1]).count
        witness = part_witness(net.program, values, trace, leaf, 0, number)
        with pytest.raises(Reverted) as refused:
            eve.settle(at, claimed.posted.claim, question, results, child, witness)
        assert refused.value.name == "NoMismatch"
    net.settle()
    assert net.status(claimed) is ClaimStatus.FINAL
    assert eve.locked(eve.account) == 0 and eve.earnings(eve.account) == 0
    assert claimed.client.earnings(claimed.client.account) > 0


def test_whoever_helps_a_silent_claimant_tells_once_that_it_cannot_inside_an_element() -> None:
    from challenger.reports.alerts import Kind
    from challenger.watch.modes import WatchConfiguration, WatchMode
    from tests.challenger.test_watcher import Told

    net = network()
    told = Told()
    helper = Watcher(
        net.client("helper"),
        net.traces,
        Fast,
        net.admit,
        configuration=WatchConfiguration(WatchMode.DEFEND),
        alert=told,
    )
    helper.take(ReExecute(net.program, Fast(net.program)))
    claimed = net.claim("honest", inputs(4), behaviour=Behaviour.SILENT)
    helper.poll()
    descended(net, net.client("eve"), claimed, SUMMED)
    net.chain.advance(net.parameters.clock // 2 + 10)
    for _ in range(3):
        assert helper.poll() == []
        net.chain.advance(1)
    assert ["only its claimant can answer" in alert.sentence for alert in told.about(Kind.TROUBLE)] == [True]
