"""``touchstone lie``: see a conviction with one's own eyes."""

from __future__ import annotations

import click

from touchstone.cli.group import FAILURE
from touchstone.devnet import PUBLISHED_PORT


@click.command()
@click.argument("model", required=False)
@click.option(
    "--about",
    type=click.Choice(["output", "intermediate", "input"]),
    default="intermediate",
    show_default=True,
    help="What is lied about.",
)
@click.option(
    "--trace",
    type=click.Choice(["published", "withheld"]),
    default="withheld",
    show_default=True,
    help="Whether the false trace can be read from the liar, or only what the game makes it show.",
)
@click.option("--silent", is_flag=True, help="Never answer: the liar's clock runs out.")
@click.option(
    "--url",
    default="http://127.0.0.1:8080",
    envvar="TOUCHSTONE_URL",
    show_default=True,
    help="The sequencer.  [env TOUCHSTONE_URL]",
)
@click.option(
    "--rpc",
    default="http://127.0.0.1:8545",
    envvar="TOUCHSTONE_RPC",
    show_default=True,
    help="JSON-RPC endpoint of the chain.  [env TOUCHSTONE_RPC]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PUBLISHED_PORT,
    show_default=True,
    help="Where a published trace can be read.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Chooses the input and the lie.")
@click.option(
    "--patience", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds to wait for the end."
)
@click.pass_context
def lie(
    context: click.Context,
    model: str | None,
    about: str,
    trace: str,
    silent: bool,
    url: str,
    rpc: str,
    port: int,
    seed: int | None,
    patience: float,
) -> None:
    """Claim something false about MODEL (by default the first that is served), on a development network only, and play the
    liar's part until the claim is invalid; exit code 1 if it becomes final instead.
    """
    from challenger.defender import Behaviour
    from rollup.l1.answers import ClaimStatus
    from rollup.service import logs
    from touchstone.lying.liar import Liar
    from touchstone.lying.lies import About
    from touchstone.services.l1 import connected

    logs.configure("warning")
    behaviour = Behaviour.PUBLISHES if trace == "published" else Behaviour.WITHHOLDS
    liar = Liar(connected(rpc), url, click.echo, seed)
    status = liar.run(model, About(about), Behaviour.SILENT if silent else behaviour, port, patience)
    if status is not ClaimStatus.INVALID:
        context.exit(FAILURE)
