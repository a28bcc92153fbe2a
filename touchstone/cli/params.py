"""What commands take as arguments, read as people write it."""

from __future__ import annotations

import re
from typing import Any

import click

from touchstone.settings.units import wei, whole_seconds


class AmountParam(click.ParamType[int]):
    """ "0.1 ether", "30 gwei" or a number of wei."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return wei(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SecondsParam(click.ParamType[int]):
    """ "90s", "12h" or "7d" in whole seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return whole_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


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
