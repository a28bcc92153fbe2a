"""``touchstone demo``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Chooses the digits and the lies."
)
@click.option(
    "--json",
    "report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write what happened to FILE.",
)
def demo(seed: int, report: Path | None) -> None:
    """Play one story on an embedded chain: honest claims, three lies, and the disputes that find them."""
    from touchstone.demo import run

    run(seed=seed, json_path=report)
