"""``touchstone chain``, ``touchstone devnet`` and ``touchstone seed``: a network on one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from touchstone.settings.options import options
from touchstone.settings.settings import AdminSettings

PORT = click.IntRange(0, 65535)
F = TypeVar("F", bound=Callable[..., Any])


def port(name: str, default: int, words: str) -> Callable[[F], F]:
    """A port of the network, by flag or environment."""
    variable = f"TOUCHSTONE_DEVNET_{name.upper()}_PORT"
    return click.option(
        f"--{name}-port",
        type=PORT,
        default=default,
        envvar=variable,
        show_default=True,
        help=f"{words}  [env {variable}]",
    )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=8545, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--interval", type=click.IntRange(1, 3600), default=1, show_default=True, help="Seconds between two blocks."
)
def chain(host: str, port: int, interval: int) -> None:
    """Run a chain for development: an EVM in this process, with JSON-RPC; it forgets everything when it ends."""
    import time

    from rollup.l1.node.development import DevelopmentChain
    from rollup.service import logs
    from touchstone.devnet.chain import ChainServer

    logs.configure()
    ChainServer(DevelopmentChain(time.time, interval), host, port).run()


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@options(AdminSettings)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the sequencer may take to become ready.",
)
def seed(folder: Path, settings: AdminSettings, wait: float) -> None:
    """Lower the example models `digits` and `iris` into FOLDER, unless they are there, and offer them at a sequencer."""
    from touchstone.devnet.models import offer, prepare

    token = None if settings.token is None else settings.token.get_secret_value()
    offer(prepare(folder, click.echo), settings.url, token, wait, click.echo)


@click.command()
@click.option("--anvil", "use_anvil", is_flag=True, help="Use anvil as the chain, instead of the one that comes along.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".devnet"),
    show_default=True,
    metavar="FOLDER",
    help="Keeps the lowered models and what was compiled; all else in it begins anew, unless --keep is given.",
)
@click.option(
    "--keep", is_flag=True, help="Go on with the chain, claims and tokens of the last --keep, if any. Needs --anvil."
)
@click.option(
    "--liar", is_flag=True, help="Also run a claimant that lies now and then, so that there are disputes to see."
)
@port("chain", 8545, "Port of the chain; 0 takes a free one.")
@port("public", 8080, "Port of the sequencer and the page.")
@port("admin", 8081, "Port of the admin API.")
@port("prover", 8082, "Port of the prover.")
@port("watcher", 8083, "Port of the watcher that disputes.")
@port("guard", 8084, "Port of the watcher that defends.")
def devnet(
    use_anvil: bool,
    data: Path,
    keep: bool,
    liar: bool,
    chain_port: int,
    public_port: int,
    admin_port: int,
    prover_port: int,
    watcher_port: int,
    guard_port: int,
) -> None:
    """Run a whole network on this machine: chain, contracts, sequencer, prover, two watchers, two models.

    It is up when it says so, and FOLDER/state/network.json is there. If one of its processes dies, all of it stops.
    """
    from touchstone.devnet.network import Devnet, Ports

    def say(name: str, line: str) -> None:
        click.echo(f"{name:9} | {line}")

    ports = Ports(chain_port, public_port, admin_port, prover_port, watcher_port, guard_port)
    Devnet(data, ports, use_anvil, liar, say, keep).run()
