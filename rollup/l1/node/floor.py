"""What a transaction's calldata costs at least."""

from __future__ import annotations

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from rollup.errors import Refused


def floor_gas(data: bytes) -> int:
    """The least limit that a transaction with this calldata may have, used up or not (EIP-7623)."""
    zeros = data.count(0)
    return 21_000 + 10 * zeros + 40 * (len(data) - zeros)


def refuse_below_floor(raw: bytes) -> None:
    """What py-evm does not check of a transaction (of type 2), and every other node does; raises Refused."""
    if raw[:1] != b"\x02":
        return
    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    limit, least = int(fields["gas"]), floor_gas(bytes(fields["data"]))
    if limit < least:
        raise Refused(f"the node refused the request: gas limit {limit} below the floor of its calldata, {least}")
