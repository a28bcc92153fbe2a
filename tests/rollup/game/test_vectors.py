"""The pure game runs the shared vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollup.claim import Address
from rollup.form.ops import Monoid
from rollup.game.dispute import Dispute, Instant
from rollup.game.endings import release
from rollup.game.game import multicall, play
from rollup.game.ledger import Ledger
from rollup.game.moves import (
    Challenge,
    Commit,
    Commitment,
    Descend,
    GameAt,
    HiddenPlace,
    Move,
    Narrow,
    Node,
    Partials,
    Prove,
    Reclaim,
    Reveal,
    RevealLeaf,
    Rule,
    Select,
    Settle,
    SetTraceRoot,
    Timeout,
)
from rollup.game.question import Asked, Partial, Question, decode_results
from rollup.game.refusal import Refusal
from rollup.settings import Parameters
from rollup.types import Gindex, Root, Timestamp
from tests.vectors.game_scenarios import FOLDER, PEOPLE, SCENARIOS, render

FILES = sorted(FOLDER.glob("*.json"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _root(text: str) -> Root:
    return Root(_bytes(text))


def _commitment(fields: Mapping[str, Any], trace_root: Root) -> Commitment | None:
    if "place" not in fields:
        return None
    return Commitment(trace_root, HiddenPlace(Gindex(fields["place"]), _bytes(fields["salt"])))


def _question(fields: Mapping[str, Any]) -> Question:
    return Question(**{**fields, "monoid": Monoid(fields["monoid"])})


def _results(fields: Mapping[str, Any]) -> tuple[Partial, ...]:
    return decode_results(Monoid(fields["question"]["monoid"]), _bytes(fields["results"]))


def as_move(fields: Mapping[str, Any], trace_root: Root) -> Move:
    """A move of a vector as the pure game takes it; ``trace_root``: the claim's at that time."""
    by = Address(fields["by"])

    def at() -> GameAt:
        given, root = fields["node"], _root(fields["trace_root"])
        node: Node = _root(given) if isinstance(given, str) else Asked(root, _question(given))
        return GameAt(fields["game"], root, node)

    def place() -> HiddenPlace:
        return HiddenPlace(Gindex(fields["place"]), _bytes(fields["salt"]))

    match fields["move"]:
        case "challenge":
            return Challenge(by, _commitment(fields, trace_root), fields.get("value", 0))
        case "commit":
            commitment = _commitment(fields, trace_root)
            assert commitment is not None
            return Commit(by, at(), commitment)
        case "set_trace_root":
            return SetTraceRoot(by, _root(fields["root"]))
        case "reveal":
            return Reveal(by, tuple(map(_root, fields["children"])))
        case "reveal_leaf":
            return RevealLeaf(by, _bytes(fields["data"]))
        case "select":
            path = tuple(map(_root, fields["siblings"]))
            return Select(by, at(), Gindex(fields["position"]), _root(fields["child"]), path)
        case "prove":
            return Prove(by, at(), place(), Rule[fields["rule"].upper()], fields["differs"])
        case "descend":
            return Descend(by, at(), place(), fields["element"], Monoid(fields["monoid"]), fields["parts"])
        case "partials":
            return Partials(by, _root(fields["trace_root"]), _question(fields["question"]), _results(fields))
        case "narrow":
            return Narrow(by, at(), _question(fields["question"]), _results(fields), fields["child"])
        case "settle":
            question, results = _question(fields["question"]), _results(fields)
            return Settle(by, at(), question, results, fields["child"], fields["differs"])
        case "timeout":
            return Timeout(by, tuple(fields["games"]))
        case "reclaim":
            return Reclaim(by, tuple(fields["games"]))
    raise AssertionError(f"no move is called {fields['move']}")


def said(dispute: Dispute, fields: Mapping[str, Any], now: Instant) -> Dispute:
    """The state after one entry of a vector; raises Refusal."""
    by, ledger = Address(fields["by"]), dispute.ledger
    match fields["move"]:
        case "release":
            return release(dispute, now.time)
        case "deposit":
            return replace(dispute, ledger=ledger.deposit(by, fields["wei"]))
        case "fund":
            return replace(dispute, ledger=ledger.fund(by, fields["wei"]))
        case "redeposit":
            return replace(dispute, ledger=ledger.redeposit(by, fields["wei"]))
        case "withdraw":
            return replace(dispute, ledger=ledger.withdraw(by, fields["wei"]))
        case "announce_withdrawal":
            delay = dispute.parameters.withdrawal_delay
            return replace(dispute, ledger=ledger.announce(by, fields["wei"], now.time, delay))
        case "complete_withdrawal":
            return replace(dispute, ledger=ledger.complete(by, now.time))
        case "multicall":
            calls = fields["calls"]
            dispute, refusals = multicall(dispute, [as_move(call, dispute.trace_root) for call in calls], now)
            assert [refusal and refusal.reason.value for refusal in refusals] == [call["error"] for call in calls]
            return dispute
    return play(dispute, as_move(fields, dispute.trace_root), now)


def status_of(dispute: Dispute, now: Timestamp) -> str:
    if dispute.conviction is not None:
        return "invalid"
    if dispute.open_games:
        return "challenged"
    return "final" if dispute.is_final(now) else "posted"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_pure_game_gives_what_the_vector_says(path: Path) -> None:
    vector = json.loads(path.read_text())
    ledger = Ledger()
    for person in PEOPLE:
        ledger = ledger.deposit(Address(person), vector["funds"]).fund(Address(person), vector["funds"])
    claim, posted_at = vector["claim"], Timestamp(1_000_000)
    depths = claim["trace_depth"], claim["tensor_depth"]
    dispute = Dispute.begin(
        Parameters(**vector["parameters"]), Address("claimant"), posted_at, depths, _root(claim["trace_root"]), ledger
    )
    for block, fields in enumerate(vector["moves"]):
        now = Instant(Timestamp(posted_at + fields["at"]), block)
        error = None
        try:
            dispute = said(dispute, fields, now)
        except Refusal as refusal:
            error = refusal.reason.value
        assert error == fields["error"], f"move {block} at {fields['at']} s: {fields['move']} by {fields['by']}"
        assert dispute.ledger.balanced
    end = vector["end"]
    assert status_of(dispute, Timestamp(posted_at + end["at"])) == end["status"]
    assert (dispute.conviction.rule.name.lower() if dispute.conviction else None) == end["rule"]
    assert {person: dispute.ledger.balance(Address(person)) for person in PEOPLE} == end["balance"]
    assert {person: dispute.ledger.earnings(Address(person)) for person in PEOPLE} == end["earnings"]


def test_the_vectors_are_what_their_scenarios_say() -> None:
    written = {path.name: path.read_text() for path in FILES}
    assert dict(render(build) for build in SCENARIOS) == written, "run `python -m tests.vectors.game_scenarios`"
