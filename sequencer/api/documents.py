"""What the public API takes and answers. Byte strings are 0x hex, wei and nonces decimal strings, times seconds since the
epoch, places in trees decimal strings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rollup.game.moves import MoveKind

HASH = "0x" + "5a" * 32

IMAGE: list[Any] = [[[abs(row - column) / 8] for column in range(8)] for row in range(8)]
"""What the model of the development network takes."""

Hash = Annotated[str, Field(json_schema_extra={"pattern": "^0x[0-9a-fA-F]{64}$"}, examples=[HASH])]
Hex = Annotated[str, Field(json_schema_extra={"pattern": "^0x([0-9a-fA-F]{2})*$"}, examples=["0x0102"])]
Account = Annotated[
    str,
    Field(
        json_schema_extra={"pattern": "^0x[0-9a-fA-F]{40}$"}, examples=["0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"]
    ),
]
Amount = Annotated[str, Field(json_schema_extra={"pattern": "^(0|[1-9][0-9]{0,77})$"}, examples=["100000000000000000"])]
Place = Annotated[
    str, Field(description="Generalised index: the root is 1, the children of g are 2g and 2g+1.", examples=["37"])
]
Time = Annotated[int, Field(description="Seconds since the epoch.", examples=[1767225600])]
StateName = Literal["pending", "posted", "challenged", "final", "invalid"]
Side = Annotated[str, Field(json_schema_extra={"enum": ["challenger", "defender"]})]
Kind = Annotated[str, Field(json_schema_extra={"enum": [kind.value for kind in MoveKind]})]
Nested = Annotated[list[Any], Field(description="Nested list of numbers, as deep as the tensor has dimensions.")]


class Document(BaseModel):
    model_config = ConfigDict(frozen=True)


# Claims


class ClaimFields(Document):
    """What a claimant signs (EIP-712)."""

    model_id: Hash
    claimant: Account
    nonce: Amount
    valid_until: Annotated[int, Field(ge=0, lt=1 << 64, strict=True, description="Last second at which L1 takes it.")]
    request_id: Hash = Field(description="Zero, or whatever the claimant answers to.")
    input_root: Hash
    output_root: Hash
    trace_root: Hash = Field(description="Zero if the model's trace policy is 'on dispute'.")


class SignedClaim(Document):
    """A claim, its signature (65 bytes r, s, v) and the bytes of its tensors, little-endian, in header order."""

    claim: ClaimFields
    signature: Hex
    inputs: Hex = Field(description="Empty if they were uploaded to L1 before.")
    outputs: Hex


class AcceptedClaim(Document):
    claim_id: Hash
    state: StateName


class OnL1(Document):
    """Where a claim stands on L1."""

    number: int = Field(description="The batch.", examples=[7])
    root: Hash
    posted_at: Time
    closes_at: int = Field(description="End of its challenge period, by the clock that stops.")
    transaction: Hash


class InclusionView(Document):
    """The Merkle proof that the contract accepts."""

    batch: int
    index: int
    siblings: list[Hash]


class ClaimSummary(Document):
    """A claim in a listing, without its bytes."""

    claim_id: Hash
    state: StateName
    reason: str | None = Field(description="Why it is invalid.")
    claim: ClaimFields
    taken_at: Time | None = Field(description="Null: somebody else posted it.")
    batch: OnL1 | None = Field(description="Null while it is pending.")
    final_after: Time | None = Field(
        description="It is final from then on, if nobody challenges it. Whenever any claim is challenged for the first time, the clock "
        "of all challenge periods stops for a while, and this moves as much."
    )


class ClaimView(ClaimSummary):
    """All of a claim."""

    signature: Hex | None = Field(description="Null: somebody else posted it.")
    inputs: Hex
    outputs: Hex
    inclusion: InclusionView | None
    disputed: bool = Field(description="Somebody has challenged it, whatever came of it.")
    open_disputes: int = Field(description="Claims, this or others, that are disputed now.")
    saturated: int | None = Field(
        description="Elements of the outputs that lie at an end of their format: the real values may lie beyond. Null where the model "
        "is not listed here, or the outputs were uploaded to L1 before."
    )


class Claims(Document):
    claims: list[ClaimSummary]
    next: str | None = Field(description="Cursor of what follows; null at the end.")


# Inference


class InferRequest(Document):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"model": "digits", "inputs": [IMAGE]}]},
    )

    model: str = Field(min_length=1, max_length=200, description="Name or id.")
    inputs: Annotated[list[Any], Field(max_length=255, description="One nested list per input of the program.")]
    clamp: bool = Field(
        False, description="Cut numbers that an input's format can't hold to its ends, instead of refusing them."
    )


class InferAnswer(Document):
    claim_id: Hash
    outputs: list[Any] = Field(description="One nested list per output, as claimed.")
    clamped: int = Field(
        description="Numbers of the inputs that were cut: the claim is about the ends of their formats."
    )
    saturated: int = Field(
        description="Elements of the outputs that lie at an end of their format: the real values may lie beyond."
    )
    saturated_inside: int = Field(
        description="The same of values inside the program, as the prover counted it: nobody can check it without running the program."
    )
    state: StateName


# Batches


class BatchSummary(OnL1):
    count: int = Field(description="Claims in it, skipped ones included.", examples=[64])


class BatchView(BatchSummary):
    claims: list[Hash | None] = Field(description="By index; null for one that L1 skipped.")


class Batches(Document):
    batches: list[BatchSummary]
    next: str | None


# Disputes


class Seconds(Document):
    """Seconds that each side has left."""

    challenger: int
    defender: int


class Gas(Document):
    """Gas that each side has spent so far."""

    challenger: int
    defender: int


class QuestionView(Document):
    """What is in question inside one element of a long reduction: a node of the tree over the parts of its reduction box."""

    element: int = Field(description="Within the disputed kilobyte.")
    monoid: str = Field(json_schema_extra={"enum": ["sum", "max", "min", "argmax", "argmin"]})
    parts: int = Field(description="Of the whole box.")
    level: int = Field(description="0: the whole box, whose accumulator is asked for.")
    index: int
    first: int = Field(description="First part below this node.")
    last: int
    value: str | None = Field(description="The partial result that is disputed; null at level 0.")
    position: str | None = Field(description="Where an argument lies in the box; 0 for other monoids.")


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
    gas: Gas
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
    part: int | None = Field(description="Of the element's reduction box, if one part was recomputed.")
    coordinates: list[int] | None
    claimed: str | None = Field(description="An integer, or a tensor's root.")
    right: str | None


class DisputeView(Document):
    claim_id: Hash
    state: StateName
    trace_root: Hash | None = Field(description="Null until the claimant gives it.")
    trace_depth: int | None
    tensor_depth: int | None
    arity: int
    clock: int = Field(description="Seconds that each side has in a game.")
    games: list[GameView]
    verdict: VerdictView | None


class Disputes(Document):
    disputes: list[DisputeView]
    next: str | None


# Models and network


class TensorView(Document):
    name: str
    shape: list[int]
    dtype: str = Field(description="What the model's function takes or gives.", examples=["float32"])
    integer: str = Field(description="How it is posted.", json_schema_extra={"enum": ["i8", "i16", "i32", "i64"]})
    scale: int = Field(description="real = integer * 2^-scale")


class ModelView(Document):
    id: Hash
    name: str
    inputs: list[TensorView]
    outputs: list[TensorView]
    header: str = Field(description="Leaf 0 of the program tree, as hex: shapes and scales.")
    interface: str = Field(description="Leaf 1, as hex: names, dtypes and the structure of the result.")
    proof: list[Hash] = Field(
        description="Siblings of leaf 1, lowest first, up to the id: whoever folds them knows that header and interface "
        "are this model's."
    )
    policy: str = Field(
        description="When a claimant gives the trace's root.", json_schema_extra={"enum": ["with claim", "on dispute"]}
    )
    retired: bool
    program: bool = Field(description="Whether the program can be fetched here.")


class Models(Document):
    models: list[ModelView]


class ParametersView(Document):
    """Terms of the deployment: durations in seconds, amounts in wei."""

    window: int = Field(description="Challenge period.", examples=[3600])
    clock: int = Field(examples=[1800])
    spacing: int = Field(description="For how long a first challenge stops the clock.", examples=[1])
    withdrawal_delay: int = Field(examples=[600])
    arity: int = Field(examples=[5])
    claim_bond: Amount
    challenge_bond: Amount
    reward: Amount
    move_fee: Amount
    collect_fee: Amount


class ClockView(Document):
    """The clock on which challenge periods are measured. It stops whenever a claim is challenged for the first time."""

    now: Time = Field(description="Of the newest block that is known.")
    reading: Time = Field(description="What the clock says: max(now, resumes_at) - stopped.")
    resumes_at: Time = Field(description="It stands still until then; 0: it was never stopped.")
    stopped: int = Field(description="Seconds that it was stopped for in all, stops to come included.")
    open_disputes: int = Field(description="Claims that are disputed now.")


class NetworkView(Document):
    chain_id: int = Field(examples=[31337])
    contract: Account
    game: Account
    block: int = Field(description="Of the deployment.")
    parameters: ParametersView
