"""``touchstone explain``: a custom error of the contracts, in words."""

from __future__ import annotations

import click

from touchstone.cli.params import HexParam


@click.command()
@click.argument("data", metavar="0x...", type=HexParam())
def explain(data: bytes) -> None:
    """Say in a sentence what the revert data of a contract call means: what is wrong, and what to do. cast prints such data."""
    from rollup.errors import ClientError
    from rollup.l1.reverts import decode_revert, name_of

    found = decode_revert(data)
    if found.name == "Unknown":
        shown = name_of(data[:4])
        raise ClientError(
            f"no contract of Touchstone has the error {shown}, or its arguments are cut short; give all of the data"
        )
    click.echo(f"{found.name}: {found}")
