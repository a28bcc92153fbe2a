"""Disputes: games, moves, clocks, and what a conviction found."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rollup.documents.fields import Account, Amount, ClaimHash, Document, Hash, Place, Side, StateName, Time
from rollup.game.moves import MoveKind

Kind = Annotated[str, Field(json_schema_extra={"enum": [kind.value for kind in MoveKind]})]


class Seconds(Document):
    """Seconds that each side has left."""

    challenger: int
    defender: int


class GasSpent(Document):
    """Gas that each side has spent so far."""

    challenger: int
    defender: int


class QuestionView(Document):
    """What is in question inside one element of a long reduction: a node of the tree over the parts of its reduction domain."""

    element: int = Field(description="Within the disputed kilobyte.")
    monoid: str = Field(json_schema_extra={"enum": ["sum", "max", "min", "argmax", "argmin"]})
    parts: int = Field(description="Of the whole domain.")
    level: int = Field(description="0: the whole domain, whose accumulator is asked for.")
    index: int
    first: int = Field(description="First part below this node.")
    last: int
    value: str | None = Field(description="The partial result that is disputed; null at level 0.")
    position: str | None = Field(description="Where an argument lies in the domain; 0 for other monoids.")


class PartialView(Document):
    value: str
    position: str


class MoveView(Document):
    kind: Kind
    side: Side | None = Field(description="Null: neither; a reveal is open to anyone.")
    at: Time
    block: int
    transaction: Hash
    gas: int = Field(description="Of the whole transaction, which may hold several moves.")
    sender: Account
    position: Place | None
    question: QuestionView | None = Field(description="Inside an element: what the move asks, or answers.")
    results: list[PartialView] | None = Field(description="Of 'partials': the partial results of the node's children.")


class GameView(Document):
    game_id: Hash
    challenger: Account
    counter: int = Field(description="The claim's games before this one.")
    state: Annotated[str, Field(json_schema_extra={"enum": ["open", "convicted", "lost", "ended"]})]
    turn: Side | None
    position: Place
    question: QuestionView | None = Field(description="Null until the game goes inside an element.")
    opened_at: Time
    clocks: Seconds | None = Field(description="Null once the game has ended, in listings, or while L1 can't be asked.")
    gas: GasSpent
    moves: list[MoveView]


class VerdictView(Document):
    """What a conviction found."""

    rule: Annotated[
        str, Field(json_schema_extra={"enum": ["step", "padding", "input", "output", "timeout", "part", "epilogue"]})
    ]
    sentence: str = Field(
        examples=["conv digits.py:57 (classify): element [3, 4] is claimed as 8 (0.5) and is 24 (1.5)"]
    )
    op: str | None
    source: str | None = Field(description="File, line and function of the model's source.")
    trace_index: int | None
    place: Place | None
    element: int | None = Field(description="Within the disputed kilobyte.")
    part: int | None = Field(description="Of the element's reduction domain, if one part was recomputed.")
    coordinates: list[int] | None
    claimed: str | None = Field(description="An integer, or a tensor's root.")
    right: str | None


class DisputeView(Document):
    claim_id: ClaimHash
    state: StateName
    trace_root: Hash | None = Field(description="Null until the claimant gives it.")
    trace_depth: int | None
    tensor_depth: int | None
    arity: int
    clock: int = Field(description="Seconds that each side has in a game.")
    model_id: Hash | None = Field(None, description="Of the claim.")
    claimant: Account | None = None
    opened_at: Time | None = Field(None, description="When the claim was challenged first.")
    bonds: Amount = Field("0", description="Wei of the claim's bond and of those of all games, ended ones included.")
    games: list[GameView]
    verdict: VerdictView | None


class DisputePage(Document):
    disputes: list[DisputeView]
    next: str | None
