"""Durations, amounts and sizes as people write them: "7d", "0.1 ether", "64 MiB"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator

from rollup.words import ETHER, GWEI, show_wei

SECONDS: Mapping[str, Decimal | int] = {"ms": Decimal("0.001"), "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
WEI: Mapping[str, Decimal | int] = {"wei": 1, "gwei": GWEI, "ether": ETHER, "eth": ETHER}
BYTES: Mapping[str, Decimal | int] = {
    "b": 1,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
}

_QUANTITY = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*\Z")
_DIGITS = 40
"""Longest quantity that is read; more digits than 2^128 has are a mistake."""


def _quantity(given: Any, units: Mapping[str, Decimal | int], plain: str, what: str, example: str) -> Decimal:
    text = str(given)
    match = None if isinstance(given, bool) or len(text) > _DIGITS else _QUANTITY.match(text)
    unit = (match.group(2).lower() or plain) if match else ""
    if match is None or unit not in units:
        raise ValueError(f"{text[:_DIGITS]!r} is no {what}; write it like {example}, units are {', '.join(units)}")
    try:
        return Decimal(match.group(1).replace("_", "")) * units[unit]
    except InvalidOperation:
        raise ValueError(f"{text!r} is no {what}; write it like {example}") from None


def seconds(given: Any) -> float:
    """ "90", "90s", "1.5h", "7d" in seconds; raises ValueError."""
    return float(_quantity(given, SECONDS, "s", "duration", '"90s", "12h" or "7d"'))


def whole_seconds(given: Any) -> int:
    """As ``seconds``, but L1 counts whole ones."""
    value = _quantity(given, SECONDS, "s", "duration", '"90s", "12h" or "7d"')
    if value != int(value):
        raise ValueError(f"{given!r} is no whole number of seconds; L1 counts whole ones")
    return int(value)


def wei(given: Any) -> int:
    """ "0.1 ether", "30 gwei", "1000 wei" in wei; only nothing at all, 0, needs no unit. Raises ValueError."""
    value = _quantity(given, WEI, "wei", "amount", '"0.1 ether", "30 gwei" or "1000 wei"')
    text = str(given).strip()
    if value and text[-1].isdigit():
        raise ValueError(f'{given!r} names no unit; write "{text} ether", "{text} gwei" or "{text} wei"')
    if value != int(value):
        raise ValueError(f"{given!r} is no whole number of wei; give at most 18 decimals of an ether")
    return int(value)


def size(given: Any) -> int:
    """ "64 MiB", "96KiB", "1024" in bytes; raises ValueError."""
    value = _quantity(given, BYTES, "b", "size", '"96 KiB", "64 MiB" or a number of bytes')
    if value != int(value):
        raise ValueError(f"{given!r} is no whole number of bytes")
    return int(value)


def show_seconds(value: float) -> str:
    """The longest unit that divides it: 604800 is "7d"."""
    for unit in ("d", "h", "min"):
        if value and value % float(SECONDS[unit]) == 0:
            return f"{value / float(SECONDS[unit]):g}{unit}"
    return f"{value:g}s"


def show_size(value: int) -> str:
    """The largest binary unit that divides it."""
    for unit, name in (("gib", "GiB"), ("mib", "MiB"), ("kib", "KiB")):
        if value and value % BYTES[unit] == 0:
            return f"{int(value // BYTES[unit])} {name}"
    return f"{value} B"


@dataclass(frozen=True)
class Unit:
    """How a quantity is written: the word for it in a command's help, and a value in its handiest unit."""

    metavar: str
    show: Callable[[Any], str]


DURATION, AMOUNT, SIZE = Unit("DURATION", show_seconds), Unit("AMOUNT", show_wei), Unit("SIZE", show_size)

Seconds = Annotated[float, BeforeValidator(seconds), DURATION]
WholeSeconds = Annotated[int, BeforeValidator(whole_seconds), DURATION]
Wei = Annotated[int, BeforeValidator(wei), AMOUNT]
Size = Annotated[int, BeforeValidator(size), SIZE]
