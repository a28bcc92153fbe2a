"""The contracts run the shared vectors, on the embedded chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rollup.batch import Batch, Inclusion
from rollup.claim import NO_ROOT, Claim
from rollup.encoding import TracePolicy
from rollup.errors import Reverted
from rollup.game.moves import Rule
from rollup.l1.chain import EmbeddedChain
from rollup.l1.client import NOTHING, At, ClaimStatus, GameRef, L1Client
from rollup.l1.events import Challenged, ClaimPosted, Convicted
from rollup.program import Program
from rollup.settings import Parameters
from rollup.types import Gindex, ModelId, Root, Timestamp
from tests.e2e.toy_program import toy_program
from tests.vectors.game_scenarios import FOLDER, PEOPLE

FILES = sorted(FOLDER.glob("*.json"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _root(text: str) -> Root:
    return Root(_bytes(text))


class OnChain:
    """One vector's claim, posted on an embedded chain."""

    def __init__(self, vector: Mapping[str, Any]) -> None:
        self.chain = EmbeddedChain()
        deployer = L1Client.deploy(self.chain, self.chain.signer("deployer"), Parameters(**vector["parameters"]))
        self.people = {person: deployer.using(self.chain.signer(person)) for person in PEOPLE}
        for client in self.people.values():
            client.deposit(vector["funds"])
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
        return At(self.ref(fields["game"], _root(fields["trace_root"])), _root(fields["node"]))

    def ref(self, number: int, trace_root: Root) -> GameRef:
        opener = self.games[number].challenger if number < len(self.games) else self.people["alice"].account
        return GameRef(self.claim_id, trace_root, opener, number)

    def refs(self, numbers: Sequence[int]) -> list[GameRef]:
        root = self.people["claimant"].dispute(self.claim_id).trace_root
        return [self.ref(number, self.claim.trace_root if root == NO_ROOT else root) for number in numbers]

    def play(self, fields: Mapping[str, Any]) -> None:
        """One move at its exact time; raises Reverted."""
        client = self.people[fields["by"]]

        def commitment() -> bytes:
            if "place" not in fields:
                return NOTHING
            root = client.dispute(self.claim_id).trace_root
            root = self.claim.trace_root if root == NO_ROOT else root
            return client.commitment(self.claim_id, root, Gindex(fields["place"]), _bytes(fields["salt"]))

        named = commitment() if fields["move"] in ("challenge", "commit") else NOTHING
        self.chain.at(Timestamp(self.posted_at + fields["at"]))
        match fields["move"]:
            case "challenge":
                self.games.append(client.challenge(self.claim, self.inclusion, named).one(Challenged))
            case "commit":
                client.commit(self.at(fields), named)
            case "set_trace_root":
                client.set_trace_root(self.claim_id, _root(fields["root"]))
            case "reveal":
                client.reveal([list(map(_root, fields["children"]))])
            case "reveal_leaf":
                client.reveal_leaf([_bytes(fields["data"])])
            case "select":
                path = list(map(_root, fields["siblings"]))
                client.select(self.at(fields), Gindex(fields["position"]), _root(fields["child"]), path)
            case "prove":
                receipt = client.prove(
                    self.at(fields),
                    self.claim,
                    Gindex(fields["place"]),
                    _bytes(fields["salt"]),
                    Rule[fields["rule"].upper()],
                    _bytes(fields["witness"]),
                )
                self.rule = receipt.one(Convicted).rule
            case "timeout":
                receipt = client.timeout(self.refs(fields["games"]))
                for event in receipt.events:
                    self.rule = event.rule if isinstance(event, Convicted) else self.rule
            case "reclaim":
                client.reclaim(self.refs(fields["games"]))
            case "release":
                client.release(self.claim, self.inclusion)


def _program(model_id: str) -> Program:
    return next(program for program in map(toy_program, TracePolicy) if program.id == _bytes(model_id))


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
    held = sum(reader.balance(client.account) + reader.locked(client.account) for client in world.people.values())
    assert world.chain.wei_of(reader.address) == held + reader.burned()
