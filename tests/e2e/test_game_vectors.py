"""The contracts run the shared vectors, on the embedded chain."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rollup.batch import Batch, Inclusion
from rollup.claim import NO_ROOT, Claim
from rollup.errors import Reverted
from rollup.form.encoding import TracePolicy
from rollup.form.ops import Monoid
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.game.question import Partial, Question, decode_results
from rollup.l1.account.signing import question_node
from rollup.l1.answers import At, ClaimStatus, GameRef, Receipt
from rollup.l1.client import EPILOGUE, NOTHING, L1Client
from rollup.l1.events import CallFailed, Challenged, ClaimPosted, Convicted
from rollup.l1.node.embedded import EmbeddedChain
from rollup.settings import Parameters
from rollup.types import Gindex, ModelId, Root, Timestamp
from tests.e2e.toy_program import toy_program
from tests.vectors.game_scenarios import FOLDER, PEOPLE

FILES = sorted(FOLDER.glob("*.json"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _root(text: str) -> Root:
    return Root(_bytes(text))


def _question(fields: Mapping[str, Any]) -> Question:
    return Question(**{**fields, "monoid": Monoid(fields["monoid"])})


def _results(fields: Mapping[str, Any]) -> tuple[Partial, ...]:
    return decode_results(Monoid(fields["question"]["monoid"]), _bytes(fields["results"]))


class Recorded(Exception):
    """Calldata instead of a transaction."""


class Recording(L1Client):
    """Says what it would send: the parts of a multicall."""

    def _transact(self, address: Any, data: bytes, value: int, gas: int | None = None) -> Any:
        raise Recorded(data)

    @classmethod
    def of(cls, client: L1Client) -> L1Client:
        return cls(client.chain, client.address, client._key(), client.first)


class OnChain:
    """One vector's claim, posted on an embedded chain."""

    def __init__(self, vector: Mapping[str, Any]) -> None:
        self.chain = EmbeddedChain()
        deployer = L1Client.deploy(self.chain, self.chain.signer("deployer"), Parameters(**vector["parameters"]))
        self.people = {person: deployer.using(self.chain.signer(person)) for person in PEOPLE}
        for client in self.people.values():
            client.deposit(vector["funds"])
            client.fund(vector["funds"])
        fields, claimant = vector["claim"], self.people["claimant"]
        deployer.register(_program(fields["model_id"]))
        self.claim = Claim(
            ModelId(_root(fields["model_id"])),
            claimant.account,
            1,
            self.chain.now() + 1000,
            bytes(32),
            _root(fields["input_root"]),
            _root(fields["output_root"]),
            _root(fields["trace_root"]),
        )
        receipt = deployer.post_batch([claimant.sign(self.claim, _bytes(fields["input"]), _bytes(fields["output"]))])
        self.claim_id = receipt.one(ClaimPosted).claim_id
        self.inclusion = Inclusion(0, 0, Batch((self.claim_id,)).siblings(0))
        self.posted_at = self.chain.now()
        self.games: list[Challenged] = []
        self.rule: Rule | None = None

    def at(self, fields: Mapping[str, Any]) -> At:
        given, root = fields["node"], _root(fields["trace_root"])
        node = _root(given) if isinstance(given, str) else Root(question_node(self.claim_id, root, _question(given)))
        return At(self.ref(fields["game"], root), node)

    def ref(self, number: int, trace_root: Root) -> GameRef:
        opener = self.games[number].challenger if number < len(self.games) else self.people["alice"].account
        return GameRef(self.claim_id, trace_root, opener, number)

    def refs(self, numbers: Sequence[int]) -> list[GameRef]:
        root = self.people["claimant"].dispute(self.claim_id).trace_root
        return [self.ref(number, self.claim.trace_root if root == NO_ROOT else root) for number in numbers]

    def commitment(self, fields: Mapping[str, Any]) -> bytes:
        client = self.people[fields["by"]]
        if "place" not in fields:
            return NOTHING
        root = client.dispute(self.claim_id).trace_root
        root = self.claim.trace_root if root == NO_ROOT else root
        return client.commitment(self.claim_id, root, Gindex(fields["place"]), _bytes(fields["salt"]))

    def play(self, fields: Mapping[str, Any]) -> None:
        """One move at its exact time; raises Reverted."""
        client = self.people[fields["by"]]
        inner = fields.get("calls", [])
        named = [self.commitment(one) for one in (fields, *inner) if one["move"] in ("challenge", "commit")]
        self.chain.at(Timestamp(self.posted_at + fields["at"]))
        if inner:
            recording, calls = Recording.of(client), []
            for one in inner:
                with pytest.raises(Recorded) as recorded:
                    self.send(recording, one, named)
                calls.append(recorded.value.args[0])
            receipt = client._send("DisputeGame", "multicall", calls)
            failed = {event.index: event.reason for event in receipt.events if isinstance(event, CallFailed)}
            assert [failed.get(number) for number in range(len(inner))] == [one["error"] for one in inner]
        else:
            receipt = self.send(client, fields, named)
        for event in receipt.events:
            if isinstance(event, Challenged):
                self.games.append(event)
            self.rule = event.rule if isinstance(event, Convicted) else self.rule

    def send(self, client: L1Client, fields: Mapping[str, Any], named: list[bytes]) -> Receipt:
        """``named``: the commitments of the moves that make one, in order."""
        match fields["move"]:
            case "challenge":
                return client.challenge(self.claim, self.inclusion, named.pop(0), fields.get("value", 0))
            case "commit":
                return client.commit(self.at(fields), named.pop(0))
            case "set_trace_root":
                return client.set_trace_root(self.claim_id, _root(fields["root"]))
            case "reveal":
                return client.reveal([list(map(_root, fields["children"]))])
            case "reveal_leaf":
                return client.reveal_leaf([_bytes(fields["data"])])
            case "select":
                path = list(map(_root, fields["siblings"]))
                return client.select(self.at(fields), Gindex(fields["position"]), _root(fields["child"]), path)
            case "prove":
                return client.prove(
                    self.at(fields),
                    self.claim,
                    Gindex(fields["place"]),
                    _bytes(fields["salt"]),
                    Rule[fields["rule"].upper()],
                    _bytes(fields["witness"]),
                )
            case "descend":
                place, salt = Gindex(fields["place"]), _bytes(fields["salt"])
                descriptor = _bytes(fields["descriptor"])
                return client.descend(self.at(fields), self.claim, place, salt, fields["element"], descriptor)
            case "partials":
                root, question = _root(fields["trace_root"]), _question(fields["question"])
                return client.partials(self.claim_id, root, question, _results(fields))
            case "narrow":
                question, results = _question(fields["question"]), _results(fields)
                return client.narrow(self.at(fields), question, results, fields["child"])
            case "settle":
                question, results = _question(fields["question"]), _results(fields)
                child = EPILOGUE if fields["child"] is None else fields["child"]
                witness = _bytes(fields["witness"])
                return client.settle(self.at(fields), self.claim, question, results, child, witness)
            case "timeout":
                return client.timeout(self.refs(fields["games"]))
            case "reclaim":
                return client.reclaim(self.refs(fields["games"]))
            case "release":
                return client.release(self.claim, self.inclusion)
            case "deposit" | "fund" | "redeposit" | "withdraw" | "announce_withdrawal":
                act: Callable[[int], Receipt] = getattr(client, fields["move"])
                return act(fields["wei"])
            case "complete_withdrawal":
                return client.complete_withdrawal()
        raise AssertionError(f"no move is called {fields['move']}")


def _program(model_id: str) -> Program:
    known = (toy_program(policy, part) for policy in TracePolicy for part in (0, 1))
    return next(program for program in known if program.id == _bytes(model_id))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_contracts_give_what_the_vector_says(path: Path) -> None:
    vector = json.loads(path.read_text())
    world = OnChain(vector)
    for number, fields in enumerate(vector["moves"]):
        error = None
        try:
            world.play(fields)
        except Reverted as reverted:
            error = reverted.name
        assert error == fields["error"], f"move {number} at {fields['at']} s: {fields['move']} by {fields['by']}"
    end, reader = vector["end"], world.people["claimant"]
    assert reader.status(world.claim, world.inclusion) is ClaimStatus[end["status"].upper()]
    assert (world.rule.name.lower() if world.rule else None) == end["rule"]
    assert {person: reader.balance(client.account) for person, client in world.people.items()} == end["balance"]
    assert {person: reader.earnings(client.account) for person, client in world.people.items()} == end["earnings"]
    accounts = [client.account for client in world.people.values()]
    held = sum(reader.balance(one) + reader.earnings(one) + reader.locked(one) for one in accounts)
    assert world.chain.wei_of(reader.address) == held + reader.burned()
