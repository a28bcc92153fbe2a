"""Where the contracts are: a small JSON file that ``touchstone deploy`` writes and every service reads."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rollup.claim import Address
from rollup.errors import ChainError
from rollup.files import write_file
from rollup.form.program import parse_json
from rollup.l1.account.signing import Signer, checksummed
from rollup.l1.client import L1Client
from rollup.l1.contracts import RequestContracts
from rollup.l1.node.chain import Chain
from rollup.settings import DURATIONS, Parameters
from rollup.types import Duration

MOST_BYTES = 1 << 16

_COUNTS = (*DURATIONS, "arity")
"""Parameters that are JSON numbers; the others are wei, decimal strings."""

_KEYS = ("chain_id", "contract", "requests", "adapter", "block", "block_hash", "parameters")

_UINT256 = 1 << 256


@dataclass(frozen=True)
class Deployment:
    """``contract``: of the RollupChain. ``block``: the one that holds it first, before which there is nothing to read; its hash names
    the chain among all that have this id. ``requests``, ``adapter``: of Requests and OracleAdapter, where contracts ask.
    """

    chain_id: int
    contract: Address
    block: int
    block_hash: bytes
    parameters: Parameters
    requests: Address
    adapter: Address

    @classmethod
    def of(cls, client: L1Client) -> Deployment:
        """What a client speaks to; raises ChainError for one that does not know all of it."""
        block = client.chain.block(client.first)
        if block is None:
            raise ChainError(f"the endpoint has no block {client.first}, which the contract was deployed in; ask again")
        if client.asking is None:
            raise ChainError(
                "this client does not know where the Requests contract is; make it from a deployment's file"
            )
        asking = client.asking
        return cls(
            client.chain.chain_id,
            client.address,
            block.number,
            block.hash,
            client.parameters,
            asking.requests,
            asking.adapter,
        )

    @classmethod
    def load(cls, path: Path | str) -> Deployment:
        """Raises ChainError, naming the file and the field, for what ``save`` did not write."""
        try:
            with Path(path).open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
            if len(raw) > MOST_BYTES:
                raise ValueError("it is too large")
            return cls.from_json(parse_json(raw.decode()))
        except OSError as error:
            raise ChainError(
                f"the deployment {path} cannot be read ({error.strerror}); name the file that 'touchstone deploy' wrote by --deployment "
                "or TOUCHSTONE_DEPLOYMENT (a devnet's is .devnet/state/deployment.json)"
            ) from None
        except (ValueError, ChainError) as error:
            shown = "it is no JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else error
            raise ChainError(
                f"the deployment {path} is damaged: {shown}; let 'touchstone deploy' write it again"
            ) from None

    def save(self, path: Path | str) -> None:
        """Write it whole or not at all; raises FileError."""
        write_file(path, json.dumps(self.as_json(), indent=2) + "\n")

    def client(self, chain: Chain, signer: Signer | None = None) -> L1Client:
        """A client of this deployment. Raises ChainError if the chain is another one or was begun anew, holds no contract there,
        or one with other parameters.
        """
        if chain.chain_id != self.chain_id:
            raise ChainError(
                f"the endpoint's chain has id {chain.chain_id}, the deployment is on chain {self.chain_id}; "
                "name the endpoint of that chain, or the deployment of this one"
            )
        block = chain.block(self.block)
        if block is None or block.hash != self.block_hash:
            raise ChainError(
                f"the endpoint's chain {'lacks' if block is None else 'has another'} block {self.block}, which the contract was "
                "deployed in: it is another chain, or one that was begun anew; name the right endpoint, deploy again, or wait if "
                "the node still catches up"
            )
        for address in (self.contract, self.requests, self.adapter):
            if not chain.has_code(address):
                raise ChainError(
                    f"there is no contract at {address} on chain {self.chain_id}; if the chain was begun anew, deploy again, "
                    "if the node still catches up, wait"
                )
        client = L1Client(chain, self.contract, signer, self.block, RequestContracts(self.requests, self.adapter))
        for field in fields(Parameters):
            here, there = getattr(self.parameters, field.name), getattr(client.parameters, field.name)
            if here != there:
                raise ChainError(
                    f"the contract at {self.contract} has {field.name} {there}, the deployment says {here}; "
                    "it is of another deployment, use that one's file"
                )
        for named, said, found in (
            ("Requests", self.contract, client.requests_chain()),
            ("OracleAdapter", self.requests, client.adapter_requests()),
        ):
            if found != said:
                raise ChainError(
                    f"the {named} contract of this deployment's file belongs to {found}, not to {said}; it is of another "
                    "deployment, use that one's file"
                )
        return client

    def as_json(self) -> dict[str, Any]:
        """As it is written: wei as decimal strings, since JSON's readers round large numbers."""
        parameters = {
            field.name: value if field.name in _COUNTS else str(value)
            for field in fields(Parameters)
            for value in [getattr(self.parameters, field.name)]
        }
        return {
            "chain_id": self.chain_id,
            "contract": self.contract,
            "requests": self.requests,
            "adapter": self.adapter,
            "block": self.block,
            "block_hash": "0x" + self.block_hash.hex(),
            "parameters": parameters,
        }

    @classmethod
    def from_json(cls, data: Any) -> Deployment:
        """Inverse of ``as_json``; raises ValueError or ChainError in words."""
        read = _object(data, "the deployment", _KEYS)
        names = tuple(field.name for field in fields(Parameters))
        given = _object(read["parameters"], "parameters", names)
        values: dict[str, Any] = {
            name: _number(given[name], f"parameters.{name}", name not in _COUNTS) for name in names
        }
        values |= {name: Duration(values[name]) for name in DURATIONS}
        block_hash = read["block_hash"]
        if not isinstance(block_hash, str) or not re.fullmatch("0x[0-9a-fA-F]{64}", block_hash):
            raise ValueError("block_hash is no hash (0x and 64 hex digits)")
        return cls(
            _number(read["chain_id"], "chain_id"),
            _address(read["contract"], "contract"),
            _number(read["block"], "block"),
            bytes.fromhex(block_hash[2:]),
            Parameters(**values),
            _address(read["requests"], "requests"),
            _address(read["adapter"], "adapter"),
        )


def _object(data: Any, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{name} is no object")
    missing, extra = [key for key in keys if key not in data], [str(key)[:40] for key in data if key not in keys]
    if missing or extra:
        raise ValueError(f"{name} lacks {missing}" if missing else f"{name} holds {extra[:5]}, which nobody knows")
    return data


def _address(value: Any, name: str) -> Address:
    if not isinstance(value, str) or not re.fullmatch("0x[0-9a-fA-F]{40}", value):
        raise ValueError(f"{name} is no address (0x and 40 hex digits)")
    return checksummed(value)


def _number(value: Any, name: str, as_text: bool = False) -> int:
    """A whole number from 0 on; as decimal text if it is wei."""
    if as_text and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        value = int(value)
    elif as_text or isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is not {'an amount of wei in quotes' if as_text else 'a whole number'}")
    if not 0 <= value < _UINT256:
        raise ValueError(f"{name} does not fit 256 bits, or is negative")
    return int(value)
