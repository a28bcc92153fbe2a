"""Claims, inclusions and parameters as JSON and back: the one form for the API, its client and the prover.

Byte strings are ``0x`` hex, wei and nonces decimal strings (JSON's readers round large numbers), times seconds since the
epoch. Reading raises ClaimError that names the field, says what it holds and what belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rollup.batch import Inclusion
from rollup.claim import MAX_CLAIM_BYTES, Address, Claim, ClaimId, PostedClaim
from rollup.errors import ClaimError
from rollup.l1.account.signing import checksummed
from rollup.settings import DURATIONS, Parameters
from rollup.types import Duration, ModelId, Root

Json = dict[str, Any]

STATES = ("pending", "posted", "challenged", "final", "invalid")
"""How far a claim is; the last two are for good."""

MAX_DEPTH = 32
"""Levels of a batch's tree at most."""

SIGNATURE_BYTES = 65

_SHOWN = 40
_ROOTS = ("model_id", "request_id", "input_root", "output_root", "trace_root")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}")


def hex_of(data: bytes) -> str:
    """Bytes as they travel."""
    return "0x" + data.hex()


def bytes_of(value: Any, what: str, length: int | None = None, most: int | None = None) -> bytes:
    """Bytes behind ``0x`` hex: exactly ``length`` of them, or at most ``most``. Raises ClaimError naming ``what``."""
    if isinstance(value, str) and most is not None and len(value) > 2 + 2 * most:
        raise ClaimError(f"{what} has {(len(value) - 2) // 2} bytes, at most {most} are taken")
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ClaimError(f"{what} is {_shown(value)}; write bytes as 0x and two hex digits each")
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
        raise ClaimError(f"{what} is {_shown(value)}; write an account as 0x and 40 hex digits")
    account = checksummed(value)
    digits = value[2:]
    if value != account and digits not in (digits.lower(), digits.upper()):
        raise ClaimError(f"{what} {value} has a wrong checksum; it is mistyped, or write it in lower case")
    return account


def amount_of(value: Any, what: str) -> int:
    """A number of up to 256 bits behind a decimal string; raises ClaimError."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or int(value) >> 256:
        raise ClaimError(f"{what} is {_shown(value)}; write a number below 2^256 as a string of decimal digits")
    return int(value)


def count_of(value: Any, what: str, bits: int = 53) -> int:
    """A JSON number that is a whole number of up to ``bits`` bits and not negative; raises ClaimError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ClaimError(f"{what} is {_shown(value)}; a whole number from 0 to {(1 << bits) - 1} belongs there")
    return value


def object_of(value: Any, what: str, names: tuple[str, ...]) -> Json:
    """A JSON object that has all of ``names``; others are left alone. Raises ClaimError."""
    if not isinstance(value, dict):
        raise ClaimError(f"{what} is {_shown(value)}; an object with {', '.join(names)} belongs there")
    missing = [name for name in names if name not in value]
    if missing:
        raise ClaimError(f"{what} lacks {', '.join(missing)}; give all of {', '.join(names)}")
    return value


def claim_json(claim: Claim) -> Json:
    return {
        "model_id": hex_of(claim.model_id),
        "claimant": claim.claimant,
        "nonce": str(claim.nonce),
        "valid_until": claim.valid_until,
        "request_id": hex_of(claim.request_id),
        "input_root": hex_of(claim.input_root),
        "output_root": hex_of(claim.output_root),
        "trace_root": hex_of(claim.trace_root),
    }


def claim_of(data: Any, what: str = "claim") -> Claim:
    """Inverse of claim_json; raises ClaimError naming the field."""
    read = object_of(data, what, tuple(field.name for field in fields(Claim)))
    roots = {name: root_of(read[name], f"{what}.{name}") for name in _ROOTS}
    return Claim(
        claimant=address_of(read["claimant"], f"{what}.claimant"),
        nonce=amount_of(read["nonce"], f"{what}.nonce"),
        valid_until=count_of(read["valid_until"], f"{what}.valid_until", 64),
        **roots,
    )


def posted_json(posted: PostedClaim) -> Json:
    """A signed claim as it is handed in."""
    return {
        "claim": claim_json(posted.claim),
        "signature": hex_of(posted.signature),
        "inputs": hex_of(posted.inputs),
        "outputs": hex_of(posted.outputs),
    }


def posted_of(data: Any) -> PostedClaim:
    """Inverse of posted_json; raises ClaimError naming the field."""
    read = object_of(data, "the signed claim", ("claim", "signature", "inputs", "outputs"))
    return PostedClaim(
        claim_of(read["claim"]),
        bytes_of(read["signature"], "signature", SIGNATURE_BYTES),
        bytes_of(read["inputs"], "inputs", most=MAX_CLAIM_BYTES),
        bytes_of(read["outputs"], "outputs", most=MAX_CLAIM_BYTES),
    )


def inclusion_json(inclusion: Inclusion) -> Json:
    return {
        "batch": inclusion.batch,
        "index": inclusion.index,
        "siblings": [hex_of(node) for node in inclusion.siblings],
    }


def inclusion_of(data: Any) -> Inclusion:
    """Inverse of inclusion_json; raises ClaimError naming the field."""
    read = object_of(data, "inclusion", ("batch", "index", "siblings"))
    siblings = read["siblings"]
    if not isinstance(siblings, list) or len(siblings) > MAX_DEPTH:
        raise ClaimError(f"inclusion.siblings is {_shown(siblings)}; a list of at most {MAX_DEPTH} nodes belongs there")
    return Inclusion(
        count_of(read["batch"], "inclusion.batch"),
        count_of(read["index"], "inclusion.index", MAX_DEPTH),
        tuple(root_of(node, f"inclusion.siblings[{j}]") for j, node in enumerate(siblings)),
    )


_COUNTS = (*DURATIONS, "arity")


def parameters_json(parameters: Parameters) -> Json:
    """Durations and arity as numbers, wei as strings."""
    return {
        field.name: value if field.name in _COUNTS else str(value)
        for field in fields(Parameters)
        for value in [getattr(parameters, field.name)]
    }


def parameters_of(data: Any) -> Parameters:
    """Inverse of parameters_json; raises ClaimError naming the field, ChainError for values that no game allows."""
    read: Mapping[str, Any] = object_of(data, "parameters", tuple(field.name for field in fields(Parameters)))
    values: dict[str, Any] = {
        field.name: count_of(read[field.name], f"parameters.{field.name}")
        if field.name in _COUNTS
        else amount_of(read[field.name], f"parameters.{field.name}")
        for field in fields(Parameters)
    }
    return Parameters(**(values | {name: Duration(values[name]) for name in DURATIONS}))


def _shown(value: Any) -> str:
    """What a stranger sent, short enough to be read: never the whole of it."""
    if isinstance(value, str):
        return repr(value[:_SHOWN] + "..." if len(value) > _SHOWN else value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) < 1 << 64 else "a very large number"
    kinds = {float: "a fraction", dict: "an object", list: f"a list of {len(value)}" if isinstance(value, list) else ""}
    return kinds.get(type(value), f"a {type(value).__name__}")
