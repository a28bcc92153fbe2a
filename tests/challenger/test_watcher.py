"""What a watcher does by its configuration: how far it goes, when it waits, what it tells, what it forgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from challenger.checkers.re_execute import Finding, Reference
from challenger.defender import Behaviour
from challenger.play.trace import ValueTrace
from challenger.reports.alerts import Alert, Kind, Severity
from challenger.watch.findings import Checked, Findings
from challenger.watch.modes import WatchConfiguration, WatchMode
from challenger.watch.watcher import Watcher
from rollup.batch import Inclusion
from rollup.claim import Claim, ClaimId
from rollup.errors import ChainError, Reverted, ServiceError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1 import calls
from rollup.l1.answers import ClaimStatus, Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged, ClaimPosted
from rollup.l1.node.finality import Finality
from rollup.types import Duration
from tests.e2e.lies import INPUTS, PROGRAMS, RIGHT, lie_in_op
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, values_of, with_lie
from tests.world import TERMS

NOW = Duration(0)
ORDINARY = WatchConfiguration()
SHALLOW = 8
"""Blocks that may be reorganised where a test would have to mine all that can be otherwise."""
false_claim = lie_in_op(4, 0, True)


@dataclass
class Told:
    """A sink that keeps what it was told."""

    alerts: list[Alert] = field(default_factory=list)

    def __call__(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def kinds(self) -> list[Kind]:
        return [alert.kind for alert in self.alerts]

    def about(self, kind: Kind) -> list[Alert]:
        return [alert for alert in self.alerts if alert.kind is kind]


@pytest.fixture
def network() -> NetworkWorld:
    return NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])


@pytest.fixture
def told() -> Told:
    return Told()


def watch(
    network: NetworkWorld,
    told: Told,
    configuration: WatchConfiguration = ORDINARY,
    wall: Callable[[], float] | None = None,
) -> tuple[Watcher, L1Client]:
    """A watcher of this configuration; by its wall clock no node lags, unless one is given."""
    client = network.client("watcher")
    watcher = Watcher(
        client,
        network.traces,
        Reference,
        network.admit,
        configuration=configuration,
        alert=told,
        wall=wall or network.chain.now,
    )
    watcher.hold(network.program)
    network.watchers.append(watcher)
    return watcher, client


def challenged(network: NetworkWorld, claimed: Claimed, name: str = "eve") -> L1Client:
    """Somebody who challenges a claim and then says nothing."""
    eve = network.client(name)
    eve.challenge(claimed.posted.claim, claimed.inclusion, value=network.parameters.challenge_bond)
    return eve


# Modes


def test_modes_are_ordered_and_named() -> None:
    assert WatchMode.WATCH < WatchMode.DEFEND < WatchMode.CHALLENGE
    assert [WatchMode.parse(mode.name.lower()) for mode in WatchMode] == list(WatchMode)
    with pytest.raises(ServiceError, match="choose one of watch, defend, challenge"):
        WatchMode.parse("attack")


@pytest.mark.parametrize("mode", [WatchMode.WATCH, WatchMode.DEFEND])
def test_below_the_mode_challenge_a_false_claim_is_told_and_not_disputed(
    network: NetworkWorld, told: Told, mode: WatchMode
) -> None:
    watcher, client = watch(network, told, WatchConfiguration(mode))
    claimed = false_claim(network, Behaviour.PUBLISHES)
    for _ in range(3):
        assert watcher.poll() == []
    assert watcher.false_claims() == [claimed.claim_id]
    assert told.kinds() == [Kind.FALSE_CLAIM]
    assert "claimed as" in told.alerts[0].sentence and told.alerts[0].claim_id == claimed.claim_id
    assert network.chain.nonce(client.account) == 0


def test_whoever_only_watches_needs_no_account(network: NetworkWorld, told: Told) -> None:
    reader = network.deployer.using(None)
    with pytest.raises(ChainError, match="in mode challenge sends transactions; give it an account"):
        Watcher(reader, None, Reference, network.admit)
    watcher = Watcher(
        reader, None, Reference, network.admit, configuration=WatchConfiguration(WatchMode.WATCH), alert=told
    )
    watcher.hold(network.program)
    false_claim(network, Behaviour.PUBLISHES)
    assert watcher.poll() == [] and told.kinds() == [Kind.FALSE_CLAIM]
    assert watcher.funds() is None


def test_a_right_claim_whose_claimant_is_silent_is_defended_in_its_place(network: NetworkWorld, told: Told) -> None:
    watcher, client = watch(network, told, WatchConfiguration(WatchMode.DEFEND))
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    watcher.poll()
    eve = challenged(network, claimed)
    assert watcher.poll() == []
    network.chain.advance(TERMS.clock // 2 - 10)
    assert watcher.poll() == [], "the claimant has time enough"
    network.chain.advance(20)
    assert [receipt.call for receipt in watcher.poll()] == ["reveal"]
    assert told.kinds() == [Kind.DISPUTE_OPENED, Kind.MOVE_MADE]
    network.settle()
    assert network.status(claimed) is ClaimStatus.FINAL
    assert [receipt.call for receipt in watcher.costs.of(claimed.claim_id)] == ["reveal", "timeout"]
    # What defends a stranger earns what the game pays for it.
    assert client.earnings(client.account) == TERMS.collect_fee + TERMS.move_fee
    assert network.deployer.locked(eve.account) == 0


@pytest.mark.parametrize("policy", list(TracePolicy), ids=lambda policy: policy.name.lower())
def test_a_silent_claimant_is_helped_through_a_whole_game(policy: TracePolicy, told: Told) -> None:
    """Somebody insists on a difference and walks down to a leaf: the helper opens every node in the claimant's place."""
    network = NetworkWorld(PROGRAMS[policy])
    watcher, _ = watch(network, told, WatchConfiguration(WatchMode.DEFEND))
    claimed = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    right = Published(network.program, RIGHT)
    eve = challenged(network, claimed)
    (game,) = eve.games_of(claimed.claim_id)
    if policy is TracePolicy.ON_DISPUTE:
        assert watcher.poll() == []
        claimed.client.set_trace_root(claimed.claim_id, right.root)
    for opened in range(network.program.depth // TERMS.arity):
        network.chain.advance(TERMS.clock // 2 + 1 if opened == 0 else 1)
        assert [receipt.call for receipt in watcher.poll()] == ["reveal"]
        state = eve.game(game)
        levels = min(TERMS.arity, network.program.depth - (state.position.bit_length() - 1))
        below = state.position << levels
        siblings = [right.node((below >> shift) ^ 1) for shift in range(levels)]
        eve.select(state.at, below, right.node(below), siblings)
    assert [receipt.call for receipt in watcher.poll()] == ["revealLeaf"]
    network.settle()
    assert network.status(claimed) is ClaimStatus.FINAL


def test_a_false_claim_whose_claimant_is_silent_is_not_defended(network: NetworkWorld, told: Told) -> None:
    watcher, _ = watch(network, told, WatchConfiguration(WatchMode.DEFEND))
    claimed = false_claim(network, Behaviour.SILENT)
    challenged(network, claimed)
    network.chain.advance(TERMS.clock // 2 + 10)
    assert watcher.poll() == []


def test_a_right_output_under_a_false_trace_root_is_not_defended(told: Told) -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.ON_DISPUTE])
    watcher, _ = watch(network, told, WatchConfiguration(WatchMode.DEFEND))
    claimed = network.claim("odd", INPUTS, behaviour=Behaviour.SILENT)
    challenged(network, claimed)
    claimed.client.set_trace_root(claimed.claim_id, Published(network.program, RIGHT, (4, 24)).root)
    network.chain.advance(TERMS.clock // 2 + 10)
    assert watcher.poll() == [] and watcher.checked[claimed.claim_id].finding.honest


# When it waits


def test_a_claim_is_checked_when_its_block_is_final_and_not_before(network: NetworkWorld, told: Told) -> None:
    watcher, _ = watch(network, told, WatchConfiguration(finality=Finality(confirmations=5)))
    claimed = false_claim(network, Behaviour.PUBLISHES)
    posted_in = network.chain.height()
    while network.chain.height() < posted_in + 5:
        assert watcher.poll() == [] and not watcher.checked
        network.chain.mine()
    assert [receipt.call for receipt in watcher.poll()] == ["challenge"]
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID


def test_a_game_of_ones_own_is_played_at_the_latest_block_whatever_the_finality(
    network: NetworkWorld, told: Told
) -> None:
    """After a restart a second game would be opened, or the clock of the first would run out."""
    watch(network, told)
    claimed = false_claim(network, Behaviour.WITHHOLDS)
    assert network.round() > 0
    network.watchers.clear()
    again, client = watch(network, told, WatchConfiguration(finality=Finality(confirmations=10**6)))
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID
    assert len(client.games_of(claimed.claim_id)) == 1
    assert again.checked[claimed.claim_id].finding.honest is False


def test_nothing_is_done_while_the_node_lags(network: NetworkWorld, told: Told) -> None:
    late = [0.0]
    watcher, client = watch(network, told, WatchConfiguration(max_lag=60), lambda: network.chain.now() + late[0])
    late[0] = 61
    false_claim(network, Behaviour.PUBLISHES)
    for _ in range(2):
        assert watcher.poll() == [] and not watcher.checked
    assert network.chain.nonce(client.account) == 0
    assert watcher.lag is not None and "61 s old" in watcher.lag
    late[0] = 60
    assert [receipt.call for receipt in watcher.poll()] == ["challenge"]
    assert watcher.lag is None
    assert [(alert.kind, alert.severity) for alert in told.about(Kind.NODE_LAG)] == [
        (Kind.NODE_LAG, Severity.CRITICAL),
        (Kind.NODE_LAG, Severity.INFO),
    ]


def test_nothing_is_done_while_the_node_is_behind_what_it_said_before(
    network: NetworkWorld, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one address there may be several nodes: one that is behind would have a game opened a second time."""
    watcher, client = watch(network, told)
    network.chain.mine(3)
    watcher.poll()
    false_claim(network, Behaviour.PUBLISHES)
    with monkeypatch.context() as behind:
        behind.setattr(network.chain, "height", lambda: 2)
        assert watcher.poll() == []
    assert network.chain.nonce(client.account) == 0
    assert "is at block 2" in told.about(Kind.NODE_LAG)[0].sentence
    assert [receipt.call for receipt in watcher.poll()] == ["challenge"]


# What it tells


def test_a_dispute_is_told_from_the_false_claim_to_the_verdict_each_thing_once(
    network: NetworkWorld, told: Told
) -> None:
    watcher, _ = watch(network, told)
    watcher.poll()
    claimed = false_claim(network, Behaviour.PUBLISHES)
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID
    assert told.kinds() == [
        Kind.FALSE_CLAIM,
        Kind.MOVE_MADE,
        Kind.DISPUTE_OPENED,
        Kind.MOVE_MADE,
        Kind.WON,
    ]
    assert all(alert.claim_id == claimed.claim_id for alert in told.alerts)
    assert "challenge in block" in told.alerts[1].sentence and "(step)" in told.alerts[4].sentence


def test_a_lost_game_is_told(network: NetworkWorld, told: Told) -> None:
    watcher, _ = watch(network, told)
    claimed = false_claim(network, Behaviour.WITHHOLDS)
    network.round()
    network.watchers.clear()
    network.chain.advance(TERMS.clock + 10)
    claimed.defender.poll()
    watcher.poll()
    assert told.about(Kind.LOST)[0].severity is Severity.CRITICAL
    assert told.about(Kind.LOST)[0].claim_id == claimed.claim_id


def test_what_happened_before_a_watcher_began_is_not_told_again(network: NetworkWorld, told: Told) -> None:
    watch(network, Told())
    false_claim(network, Behaviour.PUBLISHES)
    network.settle()
    network.watchers.clear()
    watcher, _ = watch(network, told)
    watcher.poll()
    assert told.alerts == []


def test_claims_of_an_unknown_model_are_told_once_per_model(network: NetworkWorld, told: Told) -> None:
    other = Watcher(network.client("watcher"), None, Reference, network.admit, alert=told)
    network.claim("honest", INPUTS)
    other.coming = lambda model_id: True
    other.poll()
    assert told.alerts == [] and other.unknown == {network.program.id}
    other.coming = lambda model_id: False
    for seed in range(1, 3):
        network.claim("honest", toy_inputs(seed))
        other.poll()
    assert told.kinds() == [Kind.UNKNOWN_MODEL]
    assert network.program.id.hex() in told.alerts[0].sentence
    other.offer(other.prepare(network.program))
    other.poll()
    assert len(other.checked) == 3 and other.unknown == set()


def test_a_claim_that_cannot_be_checked_is_told_and_again_when_its_window_ends(
    network: NetworkWorld, told: Told
) -> None:
    class Broken(Reference):
        def values(self, inputs: object) -> list[np.ndarray]:
            raise MemoryError("there is no room for this trace")

    watcher = Watcher(network.client("watcher"), None, Broken, network.admit, alert=told)
    watcher.hold(network.program)
    claimed = network.claim("honest", INPUTS)
    for _ in range(3):
        watcher.poll()
    assert told.kinds() == [Kind.TROUBLE]
    network.chain.advance(int(TERMS.window * 0.8))
    for _ in range(3):
        watcher.poll()
    assert told.kinds() == [Kind.TROUBLE, Kind.CLAIM_UNCHECKED_DEADLINE]
    assert "no room for this trace" in told.alerts[1].sentence and told.alerts[1].claim_id == claimed.claim_id
    network.chain.advance(TERMS.window)
    watcher.poll()
    assert len(told.alerts) == 2


def test_a_claim_that_waits_for_finality_too_long_is_told(network: NetworkWorld, told: Told) -> None:
    watcher, _ = watch(network, told, WatchConfiguration(finality=Finality(confirmations=1000)))
    network.claim("honest", INPUTS)
    watcher.poll()
    assert told.alerts == []
    network.chain.advance(int(TERMS.window * 0.8))
    watcher.poll()
    assert told.kinds() == [Kind.CLAIM_UNCHECKED_DEADLINE]


def test_an_account_that_cannot_pay_a_bond_is_told(network: NetworkWorld, told: Told) -> None:
    poor = network.deployer.using(network.chain.signer("poor", TERMS.challenge_bond - 1))
    watcher = Watcher(poor, None, Reference, network.admit, alert=told)
    for _ in range(2):
        funds = watcher.funds()
        assert funds is not None and (funds.free, funds.locked) == (0, 0)
    assert told.kinds() == [Kind.BALANCE_LOW]
    assert watcher.low is not None
    network.chain.fund(poor.account, TERMS.challenge_bond)
    watcher.funds()
    assert watcher.low is None and told.alerts[-1].severity is Severity.INFO


# What it forgets


def test_a_watcher_that_runs_for_long_forgets_what_is_settled(network: NetworkWorld, told: Told) -> None:
    watcher, client = watch(network, told, WatchConfiguration(remember=NOW))
    watcher.l1.follow(client, SHALLOW)
    sizes = []
    for lap in range(2):
        for seed in range(2):
            network.claim("honest", toy_inputs(10 * lap + seed))
        false_claim(network, Behaviour.PUBLISHES)
        network.settle()
        network.chain.advance(TERMS.window + 1)
        network.chain.mine(SHALLOW + 2)
        watcher.poll()
        l1 = watcher.l1
        board = (l1.board.games, l1.board.roots, l1.board.changed, l1.board._about, l1.board._on)
        facts = (l1.claims, l1.batches, l1.posted_at, l1.convicted, *board)
        notes = (watcher.checked, watcher.costs.receipts, watcher.troubles, watcher._reporter._told)
        sizes.append([len(one) for one in (*facts, *notes, l1.released, l1.journal.entries)])
        network.claims.clear()
    assert sizes == [[0] * 15] * 2
    assert client.locked(client.account) == 0


def test_a_bond_that_is_still_to_be_reclaimed_keeps_its_claim_in_mind(network: NetworkWorld, told: Told) -> None:
    watcher, client = watch(network, told, WatchConfiguration(remember=NOW))
    watcher.l1.follow(client, SHALLOW)
    claimed = false_claim(network, Behaviour.WITHHOLDS)
    network.round()
    other = NetworkWorld.watch(network, "faster")[0]
    network.watchers.remove(watcher)
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID and other.costs.of(claimed.claim_id)
    network.chain.advance(TERMS.window + 1)
    network.chain.mine(SHALLOW + 2)
    assert client.locked(client.account) == TERMS.challenge_bond
    assert [receipt.call for receipt in watcher.poll()] == ["reclaim"]
    assert client.locked(client.account) == 0


def trace_of(program: Program, seed: int) -> ValueTrace:
    return ValueTrace(program, Reference(program).values(toy_inputs(seed)))


def test_traces_are_held_for_false_claims_as_far_as_memory_allows() -> None:
    program = toy_program()
    traces = [trace_of(program, seed) for seed in range(4)]
    size = sum(value.nbytes for value in traces[0].values)
    findings = Findings(trace_bytes=2 * size)
    names = [ClaimId(bytes([seed]) * 32) for seed in range(4)]
    for name, trace, honest in zip(names, traces, (True, False, False, False), strict=True):
        posted = ClaimPosted(0, 0, name, None, b"", b"")  # type: ignore[arg-type]
        findings.add(Checked(posted, Finding(honest, "", trace)))
        if name == names[2]:
            findings.use(names[1])
    assert [name for name in names if findings.use(name) is not None] == [names[1], names[3]]
    assert findings[names[2]].finding == replace(findings[names[2]].finding, honest=False, trace=None)
    findings.drop(names[1])
    assert list(findings) == [names[0], names[2], names[3]]


def test_a_dispute_goes_on_with_a_trace_that_was_dropped_and_made_again(network: NetworkWorld, told: Told) -> None:
    watcher, _ = watch(network, told)
    claimed = false_claim(network, Behaviour.WITHHOLDS)
    for _ in range(30):
        network.round()
        if watcher.checked.use(claimed.claim_id) is not None:
            del watcher.checked._traces[claimed.claim_id]
    assert network.status(claimed) is ClaimStatus.INVALID
    claimed.defender.l1.read(claimed.client)
    assert claimed.defender.l1.convicted[claimed.claim_id].rule is Rule.STEP


def test_a_claim_that_a_reorganisation_took_back_is_no_finding(network: NetworkWorld, told: Told) -> None:
    watcher, _ = watch(network, told, WatchConfiguration(WatchMode.WATCH))
    claimed = false_claim(network, Behaviour.PUBLISHES)
    watcher.poll()
    assert watcher.false_claims() == [claimed.claim_id]
    watcher.l1.journal.rewind(network.chain.height() - 1)
    watcher.poll()
    assert watcher.false_claims() == [] and watcher.troubles == {}


def test_games_that_others_opened_are_told_only_for_models_that_are_held(network: NetworkWorld, told: Told) -> None:
    other = Watcher(
        network.client("watcher"),
        None,
        Reference,
        network.admit,
        configuration=WatchConfiguration(WatchMode.WATCH),
        alert=told,
    )
    other.coming = lambda model_id: True
    claimed = network.claim("honest", INPUTS)
    other.poll()
    challenged(network, claimed)
    other.poll()
    assert told.alerts == []
    other.hold(network.program)
    challenged(network, claimed, "mallory")
    other.poll()
    assert told.kinds() == [Kind.DISPUTE_OPENED]
    assert isinstance(other.l1.opened(claimed.claim_id)[1], Challenged)


# Floods and outages


def lies(network: NetworkWorld, count: int, behaviour: Behaviour = Behaviour.PUBLISHES) -> list[ClaimId]:
    """So many false claims, each about another input."""
    found = []
    for seed in range(count):
        inputs = toy_inputs(seed)
        values = with_lie(network.program, values_of(network.program, inputs), 4)
        trace, outputs = Published(network.program, values), outputs_of(network.program, values)
        found.append(network.claim("liar", inputs, trace, outputs, behaviour).claim_id)
    return found


def test_a_flood_of_false_claims_is_played_with_one_transaction_a_block(network: NetworkWorld, told: Told) -> None:
    watcher, client = watch(network, told)
    claims = lies(network, 5)
    made = []
    while moves := watcher.poll():
        made.append([receipt.call for receipt in moves])
        assert len({receipt.transaction for receipt in moves}) == 1
    assert made == [["challenge"] * 5, ["prove"] * 5]
    assert set(watcher.l1.convicted) == set(claims)
    # What came with several moves, and what each of them cost, adds up.
    spent = network.chain.nonce(client.account)
    assert spent == 3, "bonds were paid in once, then each round was one transaction"
    for claim_id in claims:
        assert watcher.costs.gas(claim_id) > 0 and watcher.costs.moves(claim_id) == 2


def test_checks_that_take_long_are_left_for_later_rounds_and_games_come_between_them(
    network: NetworkWorld, told: Told
) -> None:
    now = [0.0]

    class Slow(Reference):
        def values(self, inputs: object) -> list[np.ndarray]:
            now[0] += 3
            return super().values(inputs)  # type: ignore[arg-type]

    watcher = Watcher(network.client("watcher"), None, Slow, network.admit, alert=told, monotonic=lambda: now[0])
    watcher.hold(network.program)
    for seed in range(5):
        network.claim("honest", toy_inputs(seed))
    checked = []
    for _ in range(3):
        watcher.poll()
        checked.append((len(watcher.checked), watcher.backlog))
    assert checked == [(2, True), (4, True), (5, False)]


def test_a_flood_of_games_about_right_claims_is_looked_at_in_turns(
    network: NetworkWorld, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("challenger.watch.watcher.HELPED", 2)
    watcher, client = watch(network, told, WatchConfiguration(WatchMode.DEFEND))
    first = network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
    second = network.claim("honest", toy_inputs(1), behaviour=Behaviour.SILENT)
    for number in range(5):
        challenged(network, first, f"eve {number}")
    challenged(network, second)
    looks: list[bytes] = []
    look = client.game
    monkeypatch.setattr(client, "game", lambda game, block: looks.append(game.game_id) or look(game, block))
    network.chain.advance(TERMS.clock // 2 + 10)
    made = [receipt.call for _ in range(3) for receipt in watcher.poll()]
    assert len(looks) <= 3 * 2 * 2
    assert made == ["reveal", "reveal"]
    assert watcher.costs.of(first.claim_id) and watcher.costs.of(second.claim_id)


def test_a_node_that_fails_in_the_middle_of_a_round_is_one_alert_however_many_claims_are_false(
    network: NetworkWorld, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, _ = watch(network, told)
    lies(network, 3)

    def down(*_: object) -> None:
        raise ChainError("the chain did not answer the request (ConnectionError); check the endpoint")

    with monkeypatch.context() as outage:
        outage.setattr(network.chain, "transact", down)
        for _ in range(4):
            with pytest.raises(ChainError, match="did not answer"):
                watcher.poll()
    assert told.kinds() == [*[Kind.FALSE_CLAIM] * 3, Kind.NODE_LAG]
    assert "did not answer" in told.alerts[-1].sentence
    assert [receipt.call for receipt in watcher.poll()] == ["challenge"] * 3
    assert [alert.severity for alert in told.about(Kind.NODE_LAG)] == [Severity.CRITICAL, Severity.INFO]
    assert told.about(Kind.TROUBLE) == [] and watcher.troubles == {}


def test_a_claim_whose_move_is_refused_keeps_no_other_from_its_own(
    network: NetworkWorld, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction with others, and alone."""
    watcher, client = watch(network, told)
    stuck, *others = lies(network, 3)
    challenge = calls.challenge

    def challenging(claim: Claim, inclusion: Inclusion, *args: object) -> calls.Call:
        if client.claim_id(claim) == stuck:
            inclusion = replace(inclusion, index=inclusion.index + 1)
        return challenge(claim, inclusion, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(calls, "challenge", challenging)
    for _ in range(4):
        watcher.poll()
    assert set(watcher.l1.convicted) == set(others)
    assert [(alert.kind, alert.claim_id) for alert in told.about(Kind.TROUBLE)] == [(Kind.TROUBLE, stuck)]


@pytest.mark.parametrize("behaviour", [Behaviour.PUBLISHES, Behaviour.WITHHOLDS])
def test_a_proof_of_a_place_that_the_game_stands_on_is_refused_for_a_reason_that_is_told(
    network: NetworkWorld, told: Told, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most nodes refuse a proof in the block of its commitment. Nothing is wrong then, and only then."""
    _, client = watch(network, told)
    false_claim(network, behaviour)

    send = client.send

    def refused(call: calls.Call, gas: int | None = None) -> Receipt:
        if call.name == "prove":
            raise Reverted("PlaceNotReached", {}, "the place was not reached")
        return send(call, gas)

    monkeypatch.setattr(client, "send", refused)
    for _ in range(30):
        network.round()
    committed = behaviour is Behaviour.PUBLISHES
    assert [alert.kind for alert in told.about(Kind.TROUBLE)] == ([] if committed else [Kind.TROUBLE])


def test_a_watcher_that_begins_late_forgets_what_is_settled_while_it_reads(
    network: NetworkWorld, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a long history needs no more memory than what still matters."""
    for seed in range(6):
        network.claim("honest", toy_inputs(seed))
        network.chain.advance(TERMS.window + 1)
        network.chain.mine(SHALLOW)
    watcher, client = watch(network, told, WatchConfiguration(remember=NOW))
    watcher.l1.follow(client, SHALLOW)
    network.chain._log_blocks, network.chain._log_pages = 8, 1000
    known: list[int] = []
    forget = watcher.l1.forget
    monkeypatch.setattr(watcher.l1, "forget", lambda *args: known.append(len(watcher.l1.claims)) or forget(*args))
    watcher.poll()
    assert len(known) > 5 and max(known) <= 3
    assert watcher.l1.head == network.chain.head()
