"""``touchstone prover``."""

from __future__ import annotations

import click

from touchstone.settings.options import options
from touchstone.settings.settings import ProverSettings


@click.command()
@options(ProverSettings)
def prover(settings: ProverSettings) -> None:
    """Run models and sign claims about what comes out; publish their traces, and defend them."""
    from touchstone.services.prover import run

    run(settings)
