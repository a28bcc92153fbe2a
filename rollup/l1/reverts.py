"""Custom errors, decoded: each becomes the sentence that ``rollup.l1.sentences`` has for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_abi_to_4byte_selector

from rollup.errors import Reverted
from rollup.l1.answers import ClaimStatus
from rollup.l1.artifacts import CONTRACTS, artifact
from rollup.l1.sentences import AT_ZERO, SENTENCES
from rollup.words import show_wei, when

PROGRESS = ("unknown", "open", "answered", "undelivered", "refunded", "agreed")
SIDES = ("nobody", "defender", "challenger")
"""The contracts' enumerations ``Progress`` and ``Side``, in their order."""

_STRINGIFIED = re.compile(r"execution reverted: (b'.*'|b\".*\")\Z", re.DOTALL)


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    found = {}
    for name in CONTRACTS:
        for item in artifact(name).abi:
            if item["type"] == "error":
                found[function_abi_to_4byte_selector(item)] = item  # type: ignore[arg-type]
    return found


def _signature(item: dict[str, Any]) -> str:
    return f"{item['name']}({','.join(parameter['type'] for parameter in item['inputs'])})"


def _template(item: dict[str, Any]) -> str | None:
    """Overloaded errors have a row by signature, all others by name."""
    return SENTENCES.get(_signature(item), SENTENCES.get(item["name"]))


def unexplained() -> Iterator[str]:
    """Custom errors of the compiled contracts whose row is missing or does not fit their parameters."""
    for item in _errors().values():
        try:
            for number in (0, 1):
                arguments = {parameter["name"]: number for parameter in item["inputs"]}
                if "see its source" in _sentence(item, arguments):
                    raise KeyError(item["name"])
        except KeyError:
            yield _signature(item)


def name_of(selector: bytes) -> str:
    """The error with this 4-byte selector, or the selector as hex if no contract has it."""
    item = _errors().get(bytes(selector))
    return item["name"] if item else "0x" + bytes(selector).hex()


class _Quantity(int):
    """A number that a row writes in a unit, or as a word."""

    def __format__(self, unit: str) -> str:
        match unit:
            case "wei":
                return show_wei(int(self))
            case "time":
                return when(int(self))
            case "progress" | "side" | "status":
                return _word(unit, int(self))
        return format(int(self), unit)


def _word(kind: str, number: int) -> str:
    names = {"progress": PROGRESS, "side": SIDES, "status": tuple(one.name.lower() for one in ClaimStatus)}[kind]
    return names[number] if number < len(names) else str(number)


def _shown(value: object) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return _Quantity(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _sentence(item: dict[str, Any], arguments: Mapping[str, Any]) -> str:
    named, words = AT_ZERO.get(item["name"], ("", ""))
    template = words if arguments.get(named) == 0 else _template(item)
    found = template or f"the contract refused with {_signature(item)}; see its source"
    return found.format(**{key: _shown(value) for key, value in arguments.items()})


def decode_revert(data: bytes) -> Reverted:
    """The error behind returned revert data, with arguments by parameter name."""
    item = _errors().get(data[:4])
    if item is None:
        shown = "no data" if not data else "0x" + data[:36].hex()
        return Reverted("Unknown", {"data": data}, f"the contract reverted with {shown}; check the address and the gas")
    types = [parameter["type"] for parameter in item["inputs"]]
    try:
        values = decode(types, data[4:])
    except DecodingError:
        return Reverted(
            "Unknown", {"data": data}, f"the contract reverted with a garbled {item['name']}; check the address"
        )
    arguments = {parameter["name"]: value for parameter, value in zip(item["inputs"], values, strict=True)}
    return Reverted(item["name"], arguments, _sentence(item, arguments))


def revert_data(error: Exception) -> bytes | None:
    """The revert data inside a provider's exception; None if the exception is about something else.

    JSON-RPC providers carry it as ``data`` (a hex string, or nested in an object), eth-tester as bytes printed into
    a message.
    """
    data: object = getattr(error, "data", None)
    while isinstance(data, Mapping):
        data = data.get("data") or next((value for value in data.values() if isinstance(value, Mapping | str)), None)
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    printed = _STRINGIFIED.search(str(error))
    if printed:
        literal = ast.literal_eval(printed.group(1))
        return literal if isinstance(literal, bytes) else None
    return b"" if "execution reverted" in str(error) else None
