"""What the admin API alone takes and answers; what it shares with the public one is in ``rollup.documents``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from rollup.documents.disputes import QuestionView, Seconds
from rollup.documents.fields import Account, Amount, ClaimHash, Document, Hash, Place, hexadecimal
from rollup.types import LEAF_BYTES

Payment = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,77}$", examples=["100000000000000000"])]
"""An amount to move: not zero."""

Leaf = Annotated[bytes, *hexadecimal(most=LEAF_BYTES)]


class Strict(Document):
    """What an operator orders: a member that it does not have is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Controls(Document):
    """How the switches stand now."""

    batcher_stopped: bool = Field(description="Claims are taken, but not posted until the batcher is started.")
    intake_paused: bool = Field(description="New claims are refused; those that were taken are posted.")
    pending: int = Field(description="Claims that wait to be posted.", examples=[12])


class Flushed(Controls):
    batches: int = Field(description="Batches that were posted by this flush.", examples=[1])


class Balances(Document):
    """The money of the sequencer's account."""

    account: Account
    free: Amount = Field(
        description="In the ledger, for bonds of claims; leaves only some time after it was announced."
    )
    earned: Amount = Field(description="In the ledger, for bonds of challenges; can be withdrawn at once.")
    locked: Amount = Field(description="In the ledger, held as bonds.")
    announced: Amount = Field(description="Free balance that was announced to leave.")
    leaves_at: int | None = Field(description="From when on it may leave; null if nothing was announced.")
    wei: Amount = Field(description="On the chain, pays for gas and deposits.")


class Money(Strict):
    """An amount to move."""

    wei: Payment


class Sent(Document):
    """A transaction that was mined."""

    transaction: Hash
    block: int = Field(examples=[1234])
    gas: int = Field(examples=[51234])


class Moved(Sent):
    balances: Balances


class Level(Strict):
    level: str = Field(pattern="^(debug|info|warning|error)$", examples=["debug"])


class LastBatch(Document):
    number: int = Field(examples=[7])
    posted_at: int = Field(examples=[1767225600])
    transaction: Hash
    claims: int = Field(description="Claims in it, skipped ones included.", examples=[64])


class ChainView(Document):
    """L1 as this process sees it."""

    chain_id: int | None = Field(examples=[31337])
    contract: Account
    head: int | None = Field(description="The newest block; null if L1 does not answer.", examples=[1250])
    head_time: int | None = Field(examples=[1767225612])
    lag: int | None = Field(description="Seconds between the newest block and now.", examples=[3])
    known: int | None = Field(description="The block up to which the database knows everything.", examples=[1249])
    trouble: str | None = Field(description="Why L1 can't be asked.")


class LoopView(Document):
    running: bool
    trouble: str | None = Field(description="Why the last step failed.")
    seconds_since_success: float | None = Field(examples=[0.8])


class SequencerStatus(Controls):
    """Everything at a glance. Answers while L1 or a loop is in trouble, too."""

    claims: dict[str, int] = Field(description="Claims by state.", examples=[{"pending": 12, "final": 900}])
    oldest_pending: int | None = Field(description="When the oldest waiting claim came in.", examples=[1767225600])
    last_batch: LastBatch | None
    open_disputes: int
    requests: dict[str, int] = Field(description="Requests of contracts by progress.", examples=[{"open": 2}])
    requests_spent: str = Field(description="Wei that transactions about requests cost, or may cost, in the last day.")
    clock_stopped: int = Field(description="Seconds that the clock of challenge periods stands still from now on.")
    l1: ChainView
    balances: Balances | None = Field(description="Null if L1 does not answer.")
    loops: dict[str, LoopView]
    problems: dict[str, str] = Field(description="What /readyz complains about, by check.")
    log_level: str = Field(examples=["info"])


class Configuration(Document):
    """What is in force. A secret is shown as `set` or `not set`."""

    settings: dict[str, Any] = Field(examples=[{"sequencer": {"port": 8080, "prover_token": "set"}}])


class AuditEntry(Document):
    """One line of the audit log. An action has two: `begun`, and how it ended."""

    id: int = Field(examples=[42])
    at: int = Field(examples=[1767225600])
    role: str = Field(examples=["operate"])
    actor: str = Field(description="Role and first digits of the token's SHA-256.", examples=["operate:1f3c9a20"])
    action: str = Field(examples=["POST /admin/batcher/stop"])
    outcome: str = Field(description="begun, done, failed or refused", examples=["done"])
    detail: dict[str, Any] = Field(examples=[{"caller": "127.0.0.1"}])


class AuditPage(Document):
    entries: list[AuditEntry]
    next: str | None = Field(description="Cursor of the following page; null at the end.")


class AdminModel(Document):
    id: Hash
    name: str = Field(examples=["digits"])
    retired: bool
    held: bool = Field(description="Its program lies in this server's folder.")
    registered: bool = Field(description="L1 knows it.")
    added_at: int = Field(examples=[1767225600])


class AdminModels(Document):
    models: list[AdminModel]


class AddedModel(Document):
    model: AdminModel
    registration: Sent | None = Field(description="The transaction that registered it; null if L1 knew it already.")


class AdminGame(Document):
    """One game about a claim. `turn` to `clocks` are null once it has ended."""

    game_id: Hash
    challenger: Account
    counter: int
    position: Place
    node: Hash
    question: QuestionView | None = Field(description="Null until the game goes inside an element.")
    opened_at: int
    ended: str | None = Field(
        description="Null while it is open; `convicted` (the claim), `lost`, or `ended` by another game's conviction."
    )
    turn: str | None = Field(description="Whose move it is.", examples=["defender"])
    expired: str | None = Field(description="Whose clock has run out; anyone may collect it by `timeout`.")
    clocks: Seconds | None


class AdminMove(Document):
    kind: str = Field(examples=["challenge"])
    at: int
    block: int
    transaction: Hash
    sender: Account
    gas: int
    position: Place | None
    game_id: Hash | None
    question: QuestionView | None = Field(None, description="Inside an element: what the move asks, or answers.")


class AdminDispute(Document):
    claim_id: ClaimHash
    state: str = Field(examples=["challenged"])
    games: list[AdminGame]
    moves: list[AdminMove]


class AdminDisputes(Document):
    disputes: list[AdminDispute]
    next: str | None = Field(description="Cursor of the following page; null at the end.")


class MoveOrder(Strict):
    """A move to force.

    `children` and `leaf` are for `reveal` alone: the descendants of the node that a game stands on, left to right, or the
    1,024 bytes of the leaf. Without them the provers that are configured are asked.
    """

    move: str = Field(pattern="^(challenge|reveal|timeout|reclaim|release)$", examples=["timeout"])
    children: list[Hash] | None = Field(None, max_length=256)
    leaf: Leaf | None = None
