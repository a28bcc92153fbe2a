"""What the page shows beside single claims: figures over time, what a word stands for, accounts, what a model is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from rollup.documents.fields import Account, Amount, ClaimHash, Count, Document, Hash, Time

GameState = Annotated[str, Field(json_schema_extra={"enum": ["open", "convicted", "lost", "ended"]})]


class BucketView(Document):
    """A part of the span; counts are of claims."""

    at: Time = Field(description="Its beginning, by L1's time.")
    taken: Count = Field(description="That came in here.")
    posted: Count = Field(description="That came to stand on L1, whoever posted them.")
    final: Count
    false: Count = Field(description="That were proven false.")
    staked: Count = Field(description="At its end on L1, with a bond that a challenge can take.")
    finality: Count | None = Field(
        description="Mean seconds from posting to being final; null where nothing became final."
    )


class HeadView(Document):
    block: Count
    at: Time
    lag: float = Field(description="Its age in seconds, by this machine's time.")


class BatcherView(Document):
    state: str = Field(json_schema_extra={"enum": ["working", "stopped", "troubled"]})
    problem: str | None = Field(description="What keeps it from posting.")
    intake: str = Field(json_schema_extra={"enum": ["open", "paused"]})
    waiting: Count = Field(description="Claims that wait to be posted.")
    oldest: Time | None = Field(description="When the oldest of them came in.")
    last: Time | None = Field(description="When the newest batch was posted.")


class OverviewView(Document):
    """Figures of an hour or a day. They may be some seconds old, the older the longer they took to count."""

    span: str = Field(json_schema_extra={"enum": ["hour", "day"]})
    width: Count = Field(description="Seconds of a bucket.")
    buckets: list[BucketView] = Field(description="In order; the last one goes on.")
    claims: dict[str, Count] = Field(description="All claims that are known, by state.")
    refuted: Count = Field(description="Claims that were ever proven false.")
    bonds: Amount = Field(description="Wei that a challenge, or losing one, can take now.")
    burned: Amount | None = Field(description="Forfeited wei that nobody got, ever; null while L1 can't be asked.")
    watchers: Count = Field(description="Accounts that challenged a claim within the span.")
    games: Count = Field(description="Open games.")
    head: HeadView | None = Field(description="L1's block up to which everything is known.")
    batcher: BatcherView


class Hit(Document):
    kind: str = Field(json_schema_extra={"enum": ["claim", "model", "batch", "dispute", "request", "account"]})
    id: str = Field(description="Of a dispute that of its claim, of a batch its number.")
    by: str = Field(
        description="What of it the word is.",
        json_schema_extra={"enum": ["id", "name", "number", "root", "transaction", "game", "beginning"]},
    )
    name: str | None = Field(None, description="Of a model that is offered here.")


class Hits(Document):
    hits: list[Hit] = Field(description="Nothing, if the word is not known here.")


class GameOf(Document):
    claim_id: ClaimHash
    game_id: Hash
    model_id: Hash
    challenger: Account
    claimant: Account
    state: GameState
    opened_at: Time


class AccountView(Document):
    """An account as claimant and as challenger. Amounts in wei, as L1 has them now; null while it can't be asked."""

    account: Account
    free: Amount | None = Field(description="What claims can be bonded with.")
    locked: Amount | None = Field(description="Held as bonds.")
    earned: Amount | None = Field(description="What challenges can be bonded with.")
    claims: dict[str, Count] = Field(description="Its claims by state.")
    challenges: list[GameOf] = Field(description="The newest games that it opened.")
    challenged: list[GameOf] = Field(description="The newest games about its claims.")


class ModelAnatomy(Document):
    """What a model's program is made of. Bytes of constants and of one execution's trace; gas of the dearest proof as a bound."""

    id: Hash
    registered: bool = Field(description="On L1.")
    ops: Count = Field(description="Of one execution, iterations counted.")
    values: Count
    constants: Count
    constant_bytes: Count
    trace_bytes: Count
    gas: Count | None
    formats: str | None
    sound: bool = Field(description="Whether the audit finds nothing wrong with its form.")
    fidelity: dict[str, Any] | None = Field(
        description="How close it is to its float model, as whoever lowered it measured."
    )
    picture: bool = Field(description="Whether there is one of its graph.")
