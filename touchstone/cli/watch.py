"""``touchstone watch``."""

from __future__ import annotations

import click

from touchstone.settings.options import options
from touchstone.settings.settings import WatchSettings


@click.command()
@options(WatchSettings)
def watch(settings: WatchSettings) -> None:
    """Check the claims on L1, raise alerts, and dispute the false ones, unattended."""
    from touchstone.services.watch import run

    run(settings)
