"""A dispute is shown as it is played: moves, turn, both clocks as L1 has them, and in the end the verdict in words."""

import pytest

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour, Defender
from challenger.play.trace import SharedTraces
from challenger.watch.watcher import Watcher
from rollup import wire
from rollup.game.moves import Rule
from tests.e2e.toy_program import Published, toy_inputs, values_of, with_lie
from tests.sequencer.api.test_claims import problem, shown
from tests.sequencer.api.world import ApiWorld
from tests.world import TERMS


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A chain of its own: every watcher checks every claim on it."""
    world = ApiWorld(tmp_path_factory.mktemp("quarrels"))
    yield world
    world.stop()


class Quarrel:
    """One liar's claim, with a watcher that knows better."""

    def __init__(self, world, seed, at, behaviour, consistent=True):
        self.world, name = world, f"liar {seed}"
        self.liar = world.client(name)
        self.liar.deposit(10**18)
        world.sync()
        right = values_of(world.program, toy_inputs(seed))
        lied = with_lie(world.program, right, at, 1, consistent)
        posted = world.claim(seed, by=self.liar, values=lied)
        self.id = world.hand_in(posted).json()["claim_id"]
        world.post_all()
        traces = SharedTraces()
        self.defender = Defender(self.liar, behaviour, traces)
        self.defender.uphold(wire.claim_id_of(self.id), world.program, Published(world.program, lied))
        watching = world.client(f"watcher {seed}")
        watching.deposit(10**18)
        self.watcher = Watcher(watching, traces, Reference)
        self.watcher.hold(world.program)

    def round(self):
        """Both look and move once; L1 is read."""
        made = len(self.watcher.poll()) + len(self.defender.poll())
        self.world.chain.advance(5)
        self.world.sync()
        return made

    def seen(self):
        return self.world.http.get(f"/v1/disputes/{self.id}").json()


def test_a_dispute_that_is_played_to_its_end_is_shown_at_every_move(world):
    quarrel = Quarrel(world, 60, 3, Behaviour.WITHHOLDS)
    views = []
    while shown(world, quarrel.id)["state"] != "invalid":
        quarrel.round()
        views.append(quarrel.seen())
        assert len(views) < 60, "the dispute does not end"
    opened = [view for view in views if view["games"][0]["state"] == "open"]
    assert opened and all(view["state"] == "challenged" and view["verdict"] is None for view in opened)
    for view in opened:
        (game,) = view["games"]
        assert game["turn"] in ("challenger", "defender")
        assert 0 < game["clocks"]["challenger"] <= TERMS.clock and 0 < game["clocks"]["defender"] <= TERMS.clock
    positions = [int(view["games"][0]["position"]) for view in opened]
    assert positions == sorted(positions) and positions[-1] > 1
    last = views[-1]
    (game,) = last["games"]
    kinds = [move["kind"] for move in game["moves"]]
    assert kinds[0] == "challenge" and kinds[-1] == "prove" and {"reveal", "select"} <= set(kinds)
    assert (game["state"], game["turn"], game["clocks"]) == ("convicted", None, None)
    sides = {move["kind"]: move["side"] for move in game["moves"]}
    assert sides["select"] == "challenger" and sides["reveal"] == "defender"
    for side in ("challenger", "defender"):
        spent = {move["transaction"]: move["gas"] for move in game["moves"] if move["side"] == side}
        assert game["gas"][side] == sum(spent.values()) > 20_000
    header = world.program.header
    assert (last["trace_depth"], last["tensor_depth"]) == (header.trace_depth, header.tensor_depth)
    assert (last["arity"], last["clock"], last["state"]) == (TERMS.arity, TERMS.clock, "invalid")
    assert last["trace_root"] == shown(world, quarrel.id)["claim"]["trace_root"]


def test_the_verdict_names_op_element_and_numbers_as_a_look_at_the_values_finds_them(world):
    quarrel = Quarrel(world, 61, 3, Behaviour.PUBLISHES, consistent=False)
    while shown(world, quarrel.id)["state"] != "invalid":
        assert quarrel.round()
    right = values_of(world.program, toy_inputs(61))
    verdict = quarrel.seen()["verdict"]
    assert verdict["rule"] == "step" and verdict["op"] == "toy weigh" and verdict["source"] is None
    assert (verdict["trace_index"], verdict["coordinates"]) == (3, [1])
    assert (verdict["claimed"], verdict["right"]) == (str(int(right[3][1]) + 1), str(int(right[3][1])))
    assert verdict["sentence"] == (
        f"toy weigh: element [1] is claimed as {verdict['claimed']} and is {verdict['right']}"
    )
    assert shown(world, quarrel.id)["reason"].startswith("proven false in a dispute")
    assert shown(world, quarrel.id)["disputed"] is True


def test_a_timeout_is_a_verdict_without_a_place(world):
    quarrel = Quarrel(world, 62, 2, Behaviour.SILENT)
    quarrel.round()
    assert quarrel.seen()["games"][0]["turn"] == "defender"
    world.pass_time(TERMS.clock + 10)
    while shown(world, quarrel.id)["state"] != "invalid":
        assert quarrel.round()
    verdict = quarrel.seen()["verdict"]
    assert verdict["rule"] == "timeout" and "clock ran out" in verdict["sentence"]
    assert verdict["place"] is verdict["op"] is verdict["claimed"] is None


@pytest.mark.parametrize("rule", [Rule.INPUT, Rule.OUTPUT])
def test_a_claim_whose_trace_is_of_something_else_is_told_by_both_roots(world, rule):
    inputs = toy_inputs(63 + rule.value)
    right = values_of(world.program, inputs)
    liar, name = world.client(f"liar about {rule.name}"), f"watcher of {rule.name}"
    liar.deposit(10**18)
    world.sync()
    if rule is Rule.INPUT:
        lied = with_lie(world.program, right, 0, 1)
        posted = world.sign(liar, inputs, lied)
    else:
        lied = right
        wrong = with_lie(world.program, right, 8, 1, consistent=False)
        posted = world.sign(liar, inputs, wrong, trace_root=Published(world.program, right).root)
    claim = world.hand_in(posted).json()["claim_id"]
    world.post_all()
    traces = SharedTraces()
    defender = Defender(liar, Behaviour.PUBLISHES, traces)
    defender.uphold(wire.claim_id_of(claim), world.program, Published(world.program, lied))
    watching = world.client(name)
    watching.deposit(10**18)
    watcher = Watcher(watching, traces, Reference)
    watcher.hold(world.program)
    while shown(world, claim)["state"] != "invalid":
        assert watcher.poll() + defender.poll()
        world.chain.advance(5)
        world.sync()
    verdict = world.http.get(f"/v1/disputes/{claim}").json()["verdict"]
    assert verdict["rule"] == rule.name.lower()
    assert verdict["claimed"].startswith("0x") and verdict["claimed"] != verdict["right"]
    said = (
        "begins with another input 0"
        if rule is Rule.INPUT
        else "output 0 (output0) of the claim is not what its own trace computed"
    )
    assert said in verdict["sentence"]


def test_disputes_are_listed_newest_first_with_their_verdicts(world):
    quarrels = [Quarrel(world, seed, 4, Behaviour.PUBLISHES) for seed in (70, 71)]
    for quarrel in quarrels:
        while shown(world, quarrel.id)["state"] != "invalid":
            assert quarrel.round()
    first = world.http.get("/v1/disputes", params={"limit": 1}).json()
    assert first["disputes"][0]["claim_id"] == quarrels[1].id
    second = world.http.get("/v1/disputes", params={"limit": 1, "cursor": first["next"]}).json()["disputes"][0]
    assert second["claim_id"] == quarrels[0].id and second["verdict"]["rule"] == "step"
    assert second["games"][0]["moves"] == []
    assert world.http.get("/v1/disputes", params={"open": True}).json()["disputes"] == []


def test_claims_without_a_dispute_say_so(world):
    claim = world.hand_in(world.claim(72)).json()["claim_id"]
    assert "nobody has challenged" in problem(world.http.get(f"/v1/disputes/{claim}"), 404, "no-dispute")
    problem(world.http.get("/v1/disputes/0x" + "00" * 32), 404, "unknown-claim")
    problem(world.http.get("/v1/disputes/nothing"), 404, "unknown-claim")
