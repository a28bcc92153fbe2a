"""What commands take as arguments, read as people write it."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import click

from touchstone.settings.units import seconds, wei, whole_seconds


class AmountParam(click.ParamType[int]):
    """ "0.1 ether", "30 gwei" or "1000 wei", in wei; ``zero``: 0 means something, too."""

    name = "amount"

    def __init__(self, zero: bool = False) -> None:
        self.zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = wei(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not found and not self.zero:
            self.fail('0 changes nothing; give an amount above it, "0.1 ether" say', param, ctx)
        return found


class SecondsParam(click.ParamType[int]):
    """ "90s", "12h" or "7d" in whole seconds (``positive``: above 0)."""

    name = "duration"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = whole_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if self.positive and not found:
            self.fail(f'{value!r} is no time at all; give a longer one, "1h" say', param, ctx)
        return found


class HexParam(click.ParamType[bytes]):
    """Bytes as 0x and two hex digits each; exactly ``length`` of them, if that is given."""

    name = "hex"

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        digits = "*" if self.length is None else f"{{{self.length}}}"
        if not re.fullmatch(f"0x([0-9a-fA-F]{{2}}){digits}", value):
            shown = "two hex digits for each byte" if self.length is None else f"{2 * self.length} hex digits"
            self.fail(f"{value[:80]!r} can't be read; write 0x and {shown}", param, ctx)
        return bytes.fromhex(value[2:])


class ClaimParam(click.ParamType[str]):
    """A claim's id, as the API writes it."""

    name = "claim"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"0x[0-9a-fA-F]{64}", value):
            self.fail(f"{value!r} is no claim's id; write it as 0x and 64 hex digits", param, ctx)
        return str(value).lower()


class NumberParam(click.ParamType[Fraction]):
    """A decimal number from 0 (``positive``: above 0) to ``most``, exactly as it is written."""

    name = "number"

    def __init__(self, most: int | None = None, positive: bool = False) -> None:
        self.most, self.positive = most, positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        if isinstance(value, Fraction):
            return value
        text = str(value)
        if len(text) > 40 or not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            self.fail(f"{text[:40]!r} is no number; write it like 2500 or 0.001", param, ctx)
        found = Fraction(text)
        if self.positive and not found:
            self.fail("0 is too little; give a number above it", param, ctx)
        if self.most is not None and found > self.most:
            self.fail(f"{text} is too much; give {self.most} at most", param, ctx)
        return found


class DurationParam(click.ParamType[float]):
    """ "1.5s", "200ms" or "2h" in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PriceRangeParam(click.ParamType[tuple[int, int]]):
    """ "20 gwei", or "1 gwei..200 gwei": lowest and highest, in wei."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        try:
            found = [wei(one) for one in str(value).split("..")]
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if len(found) > 2 or not 0 < found[0] <= found[-1]:
            self.fail(
                f'{value!r} is no range of gas prices; write "20 gwei", or the lower one first: "1 gwei..200 gwei"',
                param,
                ctx,
            )
        return found[0], found[-1]


class LengthsParam(click.ParamType[tuple[int, ...]]):
    """ "128", or "128,512": lengths of passes, each of two tokens or more, all different."""

    name = "lengths"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(int(one) for one in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no length; write a number of tokens like 128, or several: 128,512", param, ctx)
        if min(found) < 2 or len(set(found)) < len(found):
            self.fail(f"{value!r}: give different lengths of at least 2 tokens", param, ctx)
        return found
