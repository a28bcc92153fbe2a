"""``touchstone sequencer``."""

from __future__ import annotations

import click

from touchstone.settings.options import options
from touchstone.settings.settings import SequencerSettings


@click.command()
@options(SequencerSettings)
def sequencer(settings: SequencerSettings) -> None:
    """Take signed claims, post them to L1 in batches, and answer whoever asks about them."""
    from touchstone.services.sequencer import run

    run(settings)
