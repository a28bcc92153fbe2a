"""``touchstone disputes``: the same story from a sequencer and from L1 alone, and the numbers that only L1 and the program give."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from structlog.testing import capture_logs

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour
from challenger.play.trace import SharedTraces
from challenger.watch.watcher import Watcher
from rollup.archive import Programs
from rollup.form.encoding import TracePolicy
from rollup.game.moves import Rule
from rollup.l1.account.keys import load_signer
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS, DevelopmentChain
from rollup.merkle import TraceTree, tensor_tree
from rollup.service.health import Health
from rollup.service.web import serve
from rollup.settings import Parameters
from rollup.types import Duration, Timestamp
from sequencer.api.app import create_api
from sequencer.api.parts import Parts
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.mirror import Mirror
from sequencer.states import OfferedModel
from sequencer.store import Store
from tests.e2e.lies import INPUTS, LIES, PROGRAMS, RIGHT
from tests.e2e.long_reductions import LARGEST, SUMMED, Fast
from tests.e2e.long_reductions import LIES as LIES_INSIDE
from tests.e2e.network import NetworkWorld
from tests.e2e.test_inside_element import lie as inside_lie
from tests.e2e.test_inside_element import network as inside_network
from tests.e2e.toy_program import Published, with_lie
from tests.world import deploy, sign_claim
from touchstone.cli import main
from touchstone.cli.disputes import _dispute
from touchstone.devnet.chain import ChainServer
from touchstone.disputes import Chronicle

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
TERMS = Parameters(window=Duration(10**8), clock=Duration(10**6), arity=2)
FAST = 50
"""Seconds of the chain's time in one of ours, so that nobody waits for blocks; windows and clocks outlast any machine."""

LIED = with_lie(PROGRAM, RIGHT, 5, 4)


@dataclass(frozen=True)
class Told:
    """One dispute that was won in two transactions, and where it can be read."""

    rpc: str
    api: str
    deployment: Path
    program: Path
    claim_id: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder, begun = tmp_path_factory.mktemp("disputes"), time.time()
    chain = DevelopmentChain(lambda: begun + FAST * (time.time() - begun))
    with capture_logs(), ChainServer(chain, "127.0.0.1", 0) as node:
        deployer, liar, watching = (load_signer(key) for key in KEYS[:3])
        client = deploy(Chain.connect(node.url), deployer, PROGRAM, parameters=TERMS)
        Deployment.of(client).save(folder / "deployment.json")
        PROGRAM.save(folder / "program")
        claim_id, trace = _lie(client.using(liar))
        traces = SharedTraces()
        traces.publish(claim_id, trace)
        watcher = Watcher(client.using(watching), traces, Reference)
        watcher.hold(PROGRAM)
        while claim_id not in watcher.l1.convicted:
            watcher.poll()
        store = Store.open(f"sqlite:///{folder}/sequencer.db")
        mirror = Mirror(client, store)
        mirror.sync()
        store.models.add(OfferedModel.of(PROGRAM, "toy", Timestamp(0)))
        programs = Programs(folder / "programs")
        programs.add(PROGRAM)
        parts = Parts(store, client, Intake(client, store, Admission(client, store)), programs, Health())
        api = serve(create_api(parts), "127.0.0.1", 0).start()
        yield Told(node.url, api.url, folder / "deployment.json", folder / "program", f"0x{claim_id.hex()}")
        api.stop()
        store.close()


def _lie(client: L1Client) -> tuple[Any, Published]:
    """Post a claim whose fifth value is wrong in one element, and all that follows from it."""
    client.deposit(TERMS.claim_bond)
    posted = sign_claim(client, PROGRAM, INPUTS, LIED)
    client.post_batch([posted])
    return client.claim_id(posted.claim), Published(PROGRAM, LIED)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["disputes", *arguments])


def read(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def l1(told: Told) -> list[str]:
    return ["--l1", told.rpc, "--deployment", str(told.deployment)]


def state_root(values: Any, count: int) -> str:
    """Root of the state after ``count`` values, from its definition: the entries behind are zero."""
    depths = PROGRAM.header.trace_depth, PROGRAM.header.tensor_depth
    data = [value.tobytes() for value in values[:count]]
    return f"0x{TraceTree([tensor_tree(one, depths[1]).root for one in data], *depths, data.__getitem__).root.hex()}"


def test_l1_alone_tells_both_states_and_the_value_as_integer_and_real(told: Told) -> None:
    found = read("show", told.claim_id, *l1(told), "--program", str(told.program))
    verdict, scale = found["verdict"], 0
    assert found["state"] == "invalid" and verdict["rule"] == "step"
    assert (verdict["op"], verdict["coordinates"], verdict["trace_index"]) == ("toy shift", [4], 5)
    assert (int(verdict["claimed"]), int(verdict["right"])) == (LIED[5][4], RIGHT[5][4])
    assert (verdict["claimed_real"], verdict["right_real"]) == (LIED[5][4] * 2.0**-scale, RIGHT[5][4] * 2.0**-scale)
    assert verdict["agreed_state"] == state_root(RIGHT, 5) == state_root(LIED, 5)
    assert verdict["claimed_state"] == state_root(LIED, 6), "the claimed state stands in the proof's witness"
    assert verdict["right_state"] == state_root(RIGHT, 6)
    (game,) = found["games"]
    assert game["state"] == "convicted"
    assert [move["kind"] for move in game["moves"]] == ["challenge", "commit", "prove"]
    assert len({move["transaction"] for move in game["moves"]}) == 2, "a challenge carries its commitment"


def test_a_person_reads_the_same(told: Told) -> None:
    shown = run("show", told.claim_id, *l1(told), "--program", str(told.program))
    assert shown.exit_code == 0
    for words in ("invalid", "toy shift", str(LIED[5][4]), str(RIGHT[5][4]), state_root(LIED, 6), "state 5, agreed"):
        assert words in shown.stdout


def test_the_sequencer_and_l1_tell_the_same_verdict(told: Told) -> None:
    from_api = read("show", told.claim_id, "--url", told.api)
    from_l1 = read("show", told.claim_id, *l1(told), "--program", str(told.program))
    for name in ("rule", "sentence", "op", "source", "coordinates", "claimed", "right"):
        assert from_api["verdict"][name] == from_l1["verdict"][name], name
    for name in ("game_id", "challenger", "counter", "state"):
        assert from_api["games"][0][name] == from_l1["games"][0][name], name
    moves = [source["games"][0]["moves"] for source in (from_api, from_l1)]
    for name in ("kind", "block", "transaction", "gas", "position"):
        assert [move[name] for move in moves[0]] == [move[name] for move in moves[1]], name
    assert "toy shift" in run("show", told.claim_id, "--url", told.api).stdout


@pytest.mark.parametrize("where", ["api", "l1"])
def test_disputes_are_listed_from_either_place(where: str, told: Told) -> None:
    source = l1(told) if where == "l1" else ["--url", told.api]
    assert [one["claim_id"] for one in read("list", *source)["disputes"]] == [told.claim_id]
    shown = run("list", *source).stdout
    assert f"claimed as {LIED[5][4]} and is {RIGHT[5][4]}" in shown and "step: " in shown
    assert read("list", *source, "--open")["disputes"] == []
    assert told.claim_id in run("list", *source, "--ended").stdout
    assert "no disputes" in run("list", *source, "--open").stdout


def test_without_the_program_l1_gives_what_it_compared_and_no_more(told: Told) -> None:
    verdict = read("show", told.claim_id, *l1(told))["verdict"]
    assert (int(verdict["claimed"]), int(verdict["right"])) == (LIED[5][4], RIGHT[5][4])
    assert "agreed_state" not in verdict


def test_what_does_not_fit_is_said_in_a_sentence(told: Told, tmp_path: Path) -> None:
    unknown, other = "0x" + "00" * 32, PROGRAMS[TracePolicy.ON_DISPUTE]
    other.save(tmp_path / "other")
    for arguments, words in (
        (["show", unknown, *l1(told)], "nobody has challenged"),
        (["show", unknown, "--url", told.api], unknown),
        (["show", "5", *l1(told)], "CLAIM"),
        (["show", told.claim_id, *l1(told), "--program", str(tmp_path / "other")], "the program given is"),
        (["list", "--url", "http://127.0.0.1:9"], "can't be asked"),
        (["list", "--l1", "http://127.0.0.1:9", "--deployment", str(told.deployment)], "check the endpoint"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and words in result.stderr, result.output
        assert len(result.stderr.splitlines()) == 1
    assert run("list", "--l1", told.rpc).exit_code == 2
    assert run("show", told.claim_id, "--url", told.api, "--program", str(told.program)).exit_code == 2


TOLD = {
    "output": Behaviour.PUBLISHES,
    "last op": Behaviour.WITHHOLDS,
    "input": Behaviour.PUBLISHES,
    "unused entry": Behaviour.WITHHOLDS,
    "padding of an op's last leaf": Behaviour.PUBLISHES,
    "reduction": Behaviour.SILENT,
}


def test_every_rules_verdict_can_be_told_from_l1() -> None:
    """Whether the claimed state was revealed move by move, or only a proof's witness ever showed it."""
    network = NetworkWorld(PROGRAM)
    network.watch()
    claims = {name: LIES[name][0](network, behaviour).claim_id for name, behaviour in TOLD.items()}
    network.settle()
    chronicle = Chronicle.read(network.deployer, Reference, 0)
    assert sorted(chronicle.disputed()) == sorted(claims.values())
    rules = set()
    for name, claim_id in claims.items():
        found = chronicle.dispute(claim_id, PROGRAM)
        verdict, (game,) = found["verdict"], found["games"]
        rule = Rule.TIMEOUT if TOLD[name] is Behaviour.SILENT else LIES[name][1]
        rules.add(rule)
        assert (found["state"], game["state"], verdict["rule"]) == ("invalid", "convicted", rule.name.lower()), name
        if rule is Rule.TIMEOUT:
            assert "agreed_state" not in verdict and game["moves"][-1]["kind"] == "timeout"
        else:
            assert verdict["claimed_state"] is not None and game["moves"][-1]["kind"] == "prove", name
            assert (verdict["claimed_state"] == verdict["right_state"]) == (rule is Rule.OUTPUT), name
    assert rules == set(Rule) - {Rule.PART, Rule.EPILOGUE}


def test_a_dispute_inside_an_element_is_told_question_by_question_from_l1() -> None:
    net = inside_network()
    net.watch()
    cases = {Rule.PART: (LARGEST, True), Rule.EPILOGUE: (SUMMED, False)}
    claims = {rule: inside_lie(net, *case, Behaviour.WITHHOLDS, 1 + case[0]) for rule, case in cases.items()}
    net.settle()
    chronicle = Chronicle.read(net.deployer, Fast, 0)
    for rule, claimed in claims.items():
        found = chronicle.dispute(claimed.claim_id, net.program)
        (game,), verdict = found["games"], found["verdict"]
        kinds = [move["kind"] for move in game["moves"]]
        assert (
            kinds[-3:] == ["narrow", "partials", "settle"] if rule is Rule.PART else ["descend", "partials", "settle"]
        )
        assert (game["state"], verdict["rule"]) == ("convicted", rule.name.lower())
        assert verdict["part"] == (LIES_INSIDE[LARGEST][1] if rule is Rule.PART else None)
        asked = [move["question"] for move in game["moves"] if move["question"] is not None]
        assert [one["level"] for one in asked] == ([0, 1] if rule is Rule.PART else [0])
        assert asked[0]["value"] is None and asked[0]["parts"] == (300 if rule is Rule.PART else 32)
        shown = StringIO()
        Console(width=200, file=shown).print(_dispute(found))
        assert "settle" in shown.getvalue() and "element 0, level 0, parts 0-" in shown.getvalue()
