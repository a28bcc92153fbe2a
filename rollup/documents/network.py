"""The network: which chain, which contracts, which terms, which time."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from rollup.documents.fields import Account, Amount, Count, Document, Hash, Time
from rollup.settings import DURATIONS, Parameters

_COUNTS = (*DURATIONS, "arity")


class ParametersView(Document):
    """Terms of the deployment: durations in seconds, amounts in wei."""

    window: Count = Field(description="Challenge period.", examples=[3600])
    clock: Count = Field(examples=[1800])
    spacing: Count = Field(description="For how long a first challenge stops the clock.", examples=[1])
    withdrawal_delay: Count = Field(examples=[600])
    arity: Count = Field(examples=[5])
    claim_bond: Amount
    challenge_bond: Amount
    reward: Amount
    move_fee: Amount
    collect_fee: Amount

    @classmethod
    def of(cls, parameters: Parameters) -> ParametersView:
        given: dict[str, Any] = {
            name: value if name in _COUNTS else str(value) for name, value in vars(parameters).items()
        }
        return cls(**given)

    @property
    def value(self) -> Parameters:
        """Raises ChainError for values that no game allows."""
        values: dict[str, Any] = {name: int(value) for name, value in self}
        return Parameters(**values)


class ChallengeClock(Document):
    """The clock on which challenge periods are measured. It stops whenever a claim is challenged for the first time."""

    now: Time = Field(description="Of the newest block that is known.")
    reading: Time = Field(description="What the clock says: max(now, resumes_at) - stopped.")
    resumes_at: Time = Field(description="It stands still until then; 0: it was never stopped.")
    stopped: Count = Field(description="Seconds that it was stopped for in all, stops to come included.")
    open_disputes: Count = Field(description="Claims that are disputed now.")


class NetworkView(Document):
    chain_id: Count = Field(examples=[31337])
    contract: Account
    game: Account
    requests: Account = Field(description="Where contracts ask for inferences.")
    adapter: Account = Field(description="The same in the shape that existing oracle consumers are written for.")
    block: Count = Field(description="Of the deployment.")
    block_hash: Hash
    parameters: ParametersView
