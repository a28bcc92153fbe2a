"""What a prover's part in a quorum costs it, in gas."""

from __future__ import annotations

from rollup.claim import output_types
from rollup.form.encoding import Header
from rollup.l1.node.chain import TRANSACTION_GAS
from rollup.l1.requests.asked import Request
from rollup.l1.requests.reads import ANSWER_GAS

DRAW_GAS = 1_500_000
"""Gas of a draw, at most. An estimate would be made in the block whose hash nobody knows yet."""

COMMIT_GAS = 200_000

REVEAL_GAS = 900_000
"""Gas of revealing, at most, besides the callback and the claim's bytes."""

SETTLE_GAS = 200_000

BYTE_GAS = 100
"""Gas of a byte of input or output that is posted and repeated to the consumer, at most."""

RESERVE_GAS = 60_000
"""Gas that the contract keeps back behind a callback."""


def callback_gas(request: Request) -> int:
    """So much must be left for the consumer's call to get its limit."""
    return request.gas_limit * 64 // 63


def reveal_gas(request: Request, header: Header, data_bytes: int) -> int:
    """Of a reveal that turns out to be the last one, which an estimate made before the others does not know."""
    outputs = sum(tensor.bytes for tensor in output_types(header))
    size = 2 * outputs + sum(tensor.bytes for tensor in header.inputs) + data_bytes
    return min(TRANSACTION_GAS, REVEAL_GAS + BYTE_GAS * size + callback_gas(request))


def shown_gas(request: Request, header: Header, data_bytes: int) -> int:
    """Of showing a final claim after the quorum failed."""
    size = sum(tensor.bytes for tensor in output_types(header)) + data_bytes
    return min(TRANSACTION_GAS, ANSWER_GAS + RESERVE_GAS + BYTE_GAS * size + callback_gas(request))


def member_gas(request: Request, header: Header, data_bytes: int) -> int:
    """Of all that one member sends for a quorum that agrees, at most."""
    return COMMIT_GAS + reveal_gas(request, header, data_bytes) + SETTLE_GAS
