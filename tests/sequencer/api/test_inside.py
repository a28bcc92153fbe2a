"""A dispute inside an element of a long reduction, as it is shown while it is played, and the clock that it stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from challenger.checkers.re_execute import ReExecute
from challenger.defender import Behaviour, Defender
from challenger.play.reductions import Reductions
from challenger.play.trace import SharedTraces
from challenger.watch.watcher import Watcher
from rollup import wire
from tests.e2e.long_reductions import LARGEST, LIES, Fast, Forged, false_values, inputs, program
from tests.e2e.toy_program import Published
from tests.sequencer.api.world import ApiWorld
from tests.world import TERMS

PART = LIES[LARGEST][1]


class Quarrel:
    """A false maximum of 30,000, whose liar says inside the element what makes it come out; a watcher knows better."""

    def __init__(self, world: ApiWorld) -> None:
        self.world = world
        right = Fast(world.program).values(inputs(1))
        lied = false_values(right, LARGEST, True)
        liar = world.client("liar")
        liar.deposit(10**18)
        world.sync()
        posted = world.sign(liar, inputs(1), lied)
        self.id = world.hand_in(posted).json()["claim_id"]
        world.post_all()
        traces = SharedTraces()
        self.defender = Defender(liar, Behaviour.WITHHOLDS, traces)
        _, part, forge = LIES[LARGEST]
        self.defender.uphold(
            wire.claim_id_of(self.id),
            world.program,
            Published(world.program, lied),
            Forged(Reductions(world.program, lied), part, forge),
        )
        watching = world.client("watcher")
        watching.fund(10**18)
        self.watcher = Watcher(watching, traces)
        self.watcher.take(ReExecute(world.program, Fast(world.program)))

    def round(self) -> None:
        self.watcher.poll()
        self.defender.poll()
        self.world.chain.advance(5)
        self.world.sync()

    def seen(self) -> dict[str, object]:
        return self.world.http.get(f"/v1/disputes/{self.id}").json()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def quarrel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarrel]:
    world = ApiWorld(tmp_path_factory.mktemp("inside"), program=program())
    yield Quarrel(world)
    world.stop()


def test_the_questions_narrow_down_to_the_part_that_convicts(quarrel: Quarrel) -> None:
    world, views = quarrel.world, []
    before = world.http.get(f"/v1/claims/{quarrel.id}").json()
    assert before["open_disputes"] == 0 and before["final_after"] == before["batch"]["closes_at"]
    while not views or views[-1]["state"] != "invalid":
        quarrel.round()
        views.append(quarrel.seen())
        if len(views) == 1:
            claim, clock = (world.http.get(path).json() for path in (f"/v1/claims/{quarrel.id}", "/v1/clock"))
            assert (claim["open_disputes"], clock["open_disputes"], clock["stopped"]) == (1, 1, TERMS.spacing)
            assert claim["final_after"] == before["final_after"] + TERMS.spacing
            assert clock["reading"] == max(clock["now"], clock["resumes_at"]) - TERMS.spacing
        assert len(views) < 60, "the dispute does not end"
    asked = [view["games"][0]["question"] for view in views if view["games"][0]["question"]]
    first = {"element": 0, "monoid": "max", "parts": 300, "level": 0, "index": 0, "first": 0, "last": 299}
    assert first | {"value": None, "position": None} in asked
    narrowed = asked[-1]
    assert narrowed["level"] == 1 and narrowed["first"] <= PART <= narrowed["last"] and narrowed["value"] == "31000"
    (game,) = views[-1]["games"]
    moves = game["moves"]
    assert [move["kind"] for move in moves[-5:]] == ["descend", "partials", "narrow", "partials", "settle"]
    assert [move["side"] for move in moves[-5:]] == ["challenger", "defender"] * 2 + ["challenger"]
    assert [len(move["results"] or ()) for move in moves[-5:]] == [0, 5, 0, 300 - 4 * 64, 0]
    verdict = views[-1]["verdict"]
    assert (verdict["rule"], verdict["part"], verdict["claimed"]) == ("part", PART, "31000")
    assert f"part {PART} of" in verdict["sentence"]
