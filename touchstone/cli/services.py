"""``touchstone sequencer``, ``touchstone prover`` and ``touchstone watch``: the services, each from its settings."""

from __future__ import annotations

import click

from touchstone.settings.options import options
from touchstone.settings.settings import ProverSettings, SequencerSettings, WatchSettings


@click.command()
@options(SequencerSettings)
def sequencer(settings: SequencerSettings) -> None:
    """Take signed claims, post them to L1 in batches, and answer whoever asks about them."""
    from touchstone.services.sequencer import run

    run(settings)


@click.command()
@options(ProverSettings)
def prover(settings: ProverSettings) -> None:
    """Run models and sign claims about what comes out; publish their traces, and defend them."""
    from touchstone.services.prover import run

    run(settings)


@click.command()
@options(WatchSettings)
def watch(settings: WatchSettings) -> None:
    """Check the claims on L1, raise alerts, and dispute the false ones, unattended."""
    from touchstone.services.watch import run

    run(settings)
