"""``touchstone chain`` and ``touchstone devnet``: a network on one machine."""

from __future__ import annotations

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8545,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--interval", type=click.IntRange(1, 3600), default=1, show_default=True, help="Seconds between two blocks."
)
def chain(host: str, port: int, interval: int) -> None:
    """Run a chain for development: an EVM in this process, with JSON-RPC; it forgets everything when it ends."""
    import time

    from rollup.l1.development import DevelopmentChain
    from rollup.service import logs
    from touchstone.devnet.chain import ChainServer

    logs.configure()
    ChainServer(DevelopmentChain(time.time, interval), host, port).run()
