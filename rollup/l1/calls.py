"""Transactions as data: which function of which contract, with what. A player collects them and sends many as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rollup.batch import Inclusion
from rollup.claim import Claim, ClaimId
from rollup.game.moves import Rule
from rollup.game.question import Question
from rollup.group import Group, sections
from rollup.l1.account.signing import question_fields
from rollup.l1.artifacts import artifact
from rollup.types import Gindex, ModelId, Root

if TYPE_CHECKING:
    from rollup.l1.answers import At, GameRef

EPILOGUE = (1 << 256) - 1
"""Stands for no child: the op's code is what is settled."""

GAME = "DisputeGame"
CHAIN = "RollupChain"
REQUESTS = "Requests"
PROVERS = "Provers"


@dataclass(frozen=True)
class Call:
    """``value``: wei that are sent along."""

    contract: str
    name: str
    args: tuple[Any, ...]
    value: int = 0

    @cached_property
    def data(self) -> bytes:
        """The calldata."""
        return artifact(self.contract).functions[self.name].encode(self.args)


def claim_fields(claim: Claim) -> tuple[Any, ...]:
    """A claim in the ABI's order."""
    return astuple(claim)


def group_fields(group: Group, empty: Mapping[ModelId, tuple[bool, bool]]) -> tuple[Any, ...]:
    """A group in the ABI's order. ``empty``: see ``sections``."""
    first = group.first
    parts = [astuple(section) for section in sections(group.claims, empty)]
    return (first.claimant, first.nonce, first.valid_until, parts, group.signature)


def inclusion_fields(inclusion: Inclusion) -> tuple[Any, ...]:
    """Where a claim stands, in the ABI's order."""
    return (inclusion.batch, inclusion.index, list(inclusion.siblings))


def challenge(claim: Claim, inclusion: Inclusion, commitment: bytes, value: int = 0) -> Call:
    return Call(GAME, "challenge", (claim_fields(claim), inclusion_fields(inclusion), commitment), value)


def commit(at: At, commitment: bytes) -> Call:
    return Call(GAME, "commit", (astuple(at), commitment))


def set_trace_root(claim: ClaimId, trace_root: Root, signature: bytes = b"") -> Call:
    return Call(GAME, "setTraceRoot", (claim, trace_root, signature))


def reveal(openings: Sequence[Sequence[Root]]) -> Call:
    return Call(GAME, "reveal", ([list(children) for children in openings],))


def reveal_leaf(leaves: Sequence[bytes]) -> Call:
    return Call(GAME, "revealLeaf", (list(leaves),))


def select(at: At, position: Gindex, node: Root, siblings: Sequence[Root]) -> Call:
    return Call(GAME, "select", (astuple(at), position, node, b"".join(siblings)))


def prove(at: At, claim: Claim, place: Gindex, salt: bytes, rule: Rule, witness: bytes) -> Call:
    return Call(GAME, "prove", (astuple(at), claim_fields(claim), place, salt, rule.value, witness))


def descend(at: At, claim: Claim, place: Gindex, salt: bytes, element: int, descriptor: bytes) -> Call:
    return Call(GAME, "descend", (astuple(at), claim_fields(claim), place, salt, element, descriptor))


def partials(claim: ClaimId, trace_root: Root, question: Question, results: bytes) -> Call:
    return Call(GAME, "partials", (claim, trace_root, question_fields(question), results))


def narrow(at: At, question: Question, results: bytes, child: int) -> Call:
    return Call(GAME, "narrow", (astuple(at), question_fields(question), results, child))


def settle(at: At, claim: Claim, question: Question, results: bytes, child: int | None, witness: bytes) -> Call:
    """``child`` None: the op's code."""
    which = EPILOGUE if child is None else child
    return Call(GAME, "settle", (astuple(at), claim_fields(claim), question_fields(question), results, which, witness))


def timeout(games: Sequence[GameRef]) -> Call:
    return Call(GAME, "timeout", ([astuple(game) for game in games],))


def reclaim(games: Sequence[GameRef]) -> Call:
    return Call(GAME, "reclaim", ([astuple(game) for game in games],))


def release_all(claims: Sequence[tuple[Claim, Inclusion]]) -> Call:
    fields = [claim_fields(claim) for claim, _ in claims]
    return Call(CHAIN, "releaseAll", (fields, [inclusion_fields(inclusion) for _, inclusion in claims]))


def release_groups(places: Sequence[tuple[int, int]]) -> Call:
    """``places``: (batch, index of the first claim) of each group."""
    return Call(CHAIN, "releaseGroups", (list(places),))


def release(claim: Claim, inclusion: Inclusion) -> Call:
    return Call(CHAIN, "release", (claim_fields(claim), inclusion_fields(inclusion)))


def inner_calls(data: bytes) -> list[bytes]:
    """The calls of a multicall's calldata; other calldata is a call itself."""
    try:
        (calls,) = artifact(GAME).functions["multicall"].decode_input(data)
    except ValueError:
        return [data]
    return [bytes(call) for call in calls]
