"""A block's header as RLP, which contracts read a block's randomness from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rlp
from eth_utils.conversions import to_bytes
from eth_utils.crypto import keccak

from rollup.errors import ChainError
from rollup.l1.node.chain import Chain

FIELDS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)
"""A header's fields in their order, by their JSON-RPC names; a chain's last ones may be missing."""


def header_of(chain: Chain, number: int) -> bytes:
    """Raises ChainError if the endpoint's fields do not have the block's hash: then its headers have others."""
    block: Mapping[str, Any] = chain.ask(lambda: chain.web3.eth.get_block(number))
    header = rlp.encode([_bytes(block[name]) for name in FIELDS if block.get(name) is not None])
    if keccak(header) != bytes(block["hash"]):
        raise ChainError(
            f"the fields of block {number} do not have its hash; the endpoint's chain has headers that this version does not know"
        )
    return bytes(header)


def _bytes(value: Any) -> bytes:
    """As RLP has it: numbers without leading zeros."""
    if isinstance(value, int):
        return value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes(value) if isinstance(value, bytes) else to_bytes(hexstr=value)
