"""Bytes, accounts and numbers as they travel in JSON, and back.

Byte strings are ``0x`` hex, wei and nonces decimal strings (JSON's readers round large numbers), times seconds since the
epoch. Reading raises ClaimError that names the field, says what it holds and what belongs there.
"""

from __future__ import annotations

import re
from typing import Any

from rollup.claim import Address, ClaimId
from rollup.errors import ClaimError
from rollup.l1.account.signing import checksummed
from rollup.types import ModelId, Root
from rollup.types import hex_of as hex_of

Json = dict[str, Any]

_SHOWN = 40
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}")


def bytes_of(value: Any, what: str, length: int | None = None, most: int | None = None) -> bytes:
    """Bytes behind ``0x`` hex: exactly ``length`` of them, or at most ``most``. Raises ClaimError naming ``what``."""
    if isinstance(value, str) and most is not None and len(value) > 2 + 2 * most:
        raise ClaimError(f"{what} has {(len(value) - 2) // 2} bytes, at most {most} are taken")
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ClaimError(f"{what} is {shown(value)}; write bytes as 0x and two hex digits each")
    if length is not None and len(value) != 2 + 2 * length:
        raise ClaimError(f"{what} has {(len(value) - 2) // 2} bytes, it must have {length}")
    return bytes.fromhex(value[2:])


def root_of(value: Any, what: str) -> Root:
    """32 bytes; raises ClaimError."""
    return Root(bytes_of(value, what, 32))


def model_id_of(value: Any, what: str = "model_id") -> ModelId:
    """A model id; raises ClaimError."""
    return ModelId(root_of(value, what))


def claim_id_of(value: Any, what: str = "claim_id") -> ClaimId:
    """A claim id; raises ClaimError."""
    return ClaimId(bytes_of(value, what, 32))


def address_of(value: Any, what: str) -> Address:
    """An account, in whatever case it is written, checksummed; raises ClaimError also for a wrong checksum."""
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise ClaimError(f"{what} is {shown(value)}; write an account as 0x and 40 hex digits")
    account = checksummed(value)
    digits = value[2:]
    if value != account and digits not in (digits.lower(), digits.upper()):
        raise ClaimError(f"{what} {value} has a wrong checksum; it is mistyped, or write it in lower case")
    return account


def amount_of(value: Any, what: str) -> int:
    """A number of up to 256 bits behind a decimal string; raises ClaimError."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or int(value) >> 256:
        raise ClaimError(f"{what} is {shown(value)}; write a number below 2^256 as a string of decimal digits")
    return int(value)


def count_of(value: Any, what: str, bits: int = 53) -> int:
    """A JSON number that is a whole number of up to ``bits`` bits and not negative; raises ClaimError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ClaimError(f"{what} is {shown(value)}; a whole number from 0 to {(1 << bits) - 1} belongs there")
    return value


def shown(value: Any) -> str:
    """What a stranger sent, short enough to be read: never the whole of it."""
    if isinstance(value, str):
        return repr(value[:_SHOWN] + "..." if len(value) > _SHOWN else value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) < 1 << 64 else "a very large number"
    kinds = {float: "a fraction", dict: "an object", list: f"a list of {len(value)}" if isinstance(value, list) else ""}
    return kinds.get(type(value), f"a {type(value).__name__}")
