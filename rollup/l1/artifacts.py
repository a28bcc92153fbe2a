"""ABI and bytecode of the contracts, which are package data: users need no compiler."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_abi_to_4byte_selector

from rollup.errors import ChainError


@dataclass(frozen=True)
class Function:
    """One function of a contract: its 4-byte selector and the ABI types of what goes in and comes out."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fields: tuple[str, ...]
    """Names within the struct that comes out, if it is one."""

    def encode(self, args: Sequence[Any]) -> bytes:
        """Calldata."""
        return self.selector + encode(self.inputs, args)

    def decode_input(self, data: bytes) -> tuple[Any, ...]:
        """Arguments behind calldata of this function; raises ValueError for any other."""
        if data[:4] != self.selector:
            raise ValueError(f"the calldata does not call {self.name}")
        try:
            return decode(self.inputs, data[4:])
        except (DecodingError, OverflowError) as error:
            raise ValueError(f"the calldata of {self.name} is garbled ({type(error).__name__})") from None


@dataclass(frozen=True)
class Artifact:
    """One compiled contract: its ABI as JSON gives it, and its creation bytecode as hex."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """Functions by name; none is overloaded."""
        found = {}
        for item in self.abi:
            if item["type"] == "function":
                selector = function_abi_to_4byte_selector(item)  # type: ignore[arg-type]
                outputs = item["outputs"]
                struct = outputs[0].get("components", []) if len(outputs) == 1 else []
                found[item["name"]] = Function(
                    item["name"],
                    selector,
                    types_of(item["inputs"]),
                    types_of(outputs),
                    tuple(field["name"] for field in struct),
                )
        return found

    def creation(self, *args: Any) -> bytes:
        """What a transaction that creates the contract carries."""
        constructor = next((item for item in self.abi if item["type"] == "constructor"), None)
        types = types_of(constructor["inputs"]) if constructor else ()
        return bytes.fromhex(self.bytecode.removeprefix("0x")) + encode(types, args)


def types_of(parameters: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """ABI types of parameters, tuples written out."""
    return tuple(_type_of(parameter) for parameter in parameters)


def _type_of(parameter: Mapping[str, Any]) -> str:
    if not parameter["type"].startswith("tuple"):
        return str(parameter["type"])
    return f"({','.join(types_of(parameter['components']))}){parameter['type'][5:]}"


@cache
def artifact(name: str) -> Artifact:
    """A contract by its name (``CONTRACTS``); raises ChainError if the package lacks it."""
    path = resources.files("contracts") / "artifacts" / f"{name}.json"
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise ChainError(f"the package holds no compiled {name}; run 'make contracts' in the repository") from None
    return Artifact(name, data["abi"], data["bytecode"])


CONTRACTS = ("RollupChain", "DisputeGame", "OneStepProver", "Requests", "Provers", "OracleAdapter")
