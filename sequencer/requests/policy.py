"""Which requests are worth an answer: what an answer costs, what may be spent, and in what time it must be possible."""

from __future__ import annotations

from dataclasses import dataclass

from rollup.claim import output_types
from rollup.form.encoding import Header
from rollup.l1.requests.asked import Request
from rollup.l1.requests.reads import ANSWER_GAS
from rollup.types import Duration

RESERVE = 60_000
"""Gas that the contract keeps back behind a callback."""

BYTE_GAS = 60
"""Gas of a byte that is sent along and hashed, at most; without the hash it is fewer."""

POSTING_GAS = 200_000
NOTE_GAS = 250_000
STRIKE_GAS = 120_000
RENEW_GAS = 300_000

DAY = Duration(24 * 3600)
"""Over which spending is bounded."""


DEFAULT_MARGIN = Duration(60)


@dataclass(frozen=True)
class Policy:
    """``percent``: what an answer must earn at least, of what it costs at the present base fee. ``spend_wei``: most that the transactions
    of a day may cost. ``retries``: how often a callback that failed is made again. ``confirmations``: blocks above a request's before it
    is answered. ``margin``: seconds that must be left to post a claim. ``attempts``: claims that are made for one request, if those before
    can't be posted.
    """

    percent: int = 150
    spend_wei: int = 10**18
    retries: int = 3
    confirmations: int = 0
    margin: Duration = DEFAULT_MARGIN
    attempts: int = 3


DEFAULT_POLICY = Policy()


def tensor_gas(header: Header, of_outputs: bool) -> int:
    """What hashing a model's inputs or outputs takes beside their bytes: the ways up to the header's depth."""
    count = len(header.outputs) if of_outputs else len(header.inputs)
    return count * (10_000 + 1_100 * header.tensor_depth)


def answer_gas(header: Header, request: Request, data_bytes: int) -> int:
    """Gas of ``answer`` or ``deliver`` at most, the callback's included."""
    output_bytes = sum(tensor.bytes for tensor in output_types(header))
    said = BYTE_GAS * (output_bytes + data_bytes) + tensor_gas(header, True)
    return ANSWER_GAS + RESERVE + said + request.gas_limit * 64 // 63


def request_gas(header: Header, request: Request, data_bytes: int) -> int:
    """Gas of all that an answer takes: a claim in a batch, and ``answer``."""
    posted = sum(tensor.bytes for tensor in (*header.inputs, *output_types(header)))
    posting = POSTING_GAS + BYTE_GAS * posted + tensor_gas(header, True) + tensor_gas(header, False)
    return posting + answer_gas(header, request, data_bytes)


def renew_gas(data_bytes: int) -> int:
    """Gas of a subscription's next request."""
    return RENEW_GAS + BYTE_GAS * data_bytes
