"""What commands take as arguments, read as people write it."""

from __future__ import annotations

import re
from typing import Any

import click

from touchstone.settings.units import wei


class AmountParam(click.ParamType[int]):
    """ "0.1 ether", "30 gwei" or a number of wei."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return wei(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ClaimParam(click.ParamType[str]):
    """A claim's id, as the API writes it."""

    name = "claim"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"0x[0-9a-fA-F]{64}", value):
            self.fail(f"{value!r} is no claim's id; write it as 0x and 64 hex digits", param, ctx)
        return str(value).lower()
