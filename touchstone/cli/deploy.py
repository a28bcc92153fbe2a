"""``touchstone deploy``: the contracts on a chain."""

from __future__ import annotations

from pathlib import Path

import click

from touchstone.settings.options import options
from touchstone.settings.settings import DeploySettings


@click.command()
@click.argument("parameters", metavar="PARAMS.toml", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options(DeploySettings)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("deployment.json"),
    show_default=True,
    metavar="FILE",
    help="Where to write what every service reads: chain, addresses, block, parameters.",
)
@click.option("--yes", is_flag=True, help="Deploy without asking.")
@click.option("--development", is_flag=True, help="No money is real here: tell what is dangerous, but don't refuse it.")
@click.option("--check", is_flag=True, help="Print the guarantees and end; nothing is sent.")
def deploy(parameters: Path, settings: DeploySettings, output: Path, yes: bool, development: bool, check: bool) -> None:
    """Deploy the contracts with the parameters of PARAMS.toml, for good, and say what they guarantee.

    Dangerous parameters are refused. If the output file names such a deployment already, nothing is sent.
    """
    from rollup.files import exists, require_writable
    from touchstone.deployment.deploy import PlannedDeployment

    if not check and not exists(output):
        require_writable(output)
    plan = PlannedDeployment.make(settings, parameters, output, development)
    click.echo(plan.words())
    if check:
        return
    found = plan.existing()
    if found is not None:
        click.echo(f"{output} names this deployment already: {found.contract} on chain {found.chain_id}")
        return
    if not plan.development and not yes:
        click.confirm(f"Deploy to chain {plan.chain.chain_id}? Nothing of this can be changed later.", abort=True)
    deployed = plan.deploy(settings, click.echo)
    click.echo(f"deployed {deployed.contract} in block {deployed.block}; {output} has all that services need")
    click.echo(f"contracts ask at {deployed.requests}, old oracle consumers at {deployed.adapter}")
