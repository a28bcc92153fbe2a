"""``touchstone economics``: what attacks and checking cost at a deployment's parameters."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from touchstone.cli.params import DurationParam, NumberParam, PriceRangeParam
from touchstone.settings.units import WEI

if TYPE_CHECKING:
    from touchstone.deployment.parameters import Terms

HOUR = 3600
MOST_DOLLARS = 10**9
ETHER = int(WEI["ether"])


@click.command()
@click.argument("file", metavar="FILE", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--conditions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Parameter file whose conditions count (block times, gas); needed with a deployment's file, which says nothing of them.",
)
@click.option(
    "--gas-price",
    type=PriceRangeParam(),
    help='A gas price with its unit, or two: "20 gwei", "1 gwei..200 gwei".  [default: FILE\'s]',
)
@click.option(
    "--eth",
    type=NumberParam(most=MOST_DOLLARS, positive=True),
    metavar="DOLLARS",
    help="Price of an ether: show dollars.",
)
@click.option(
    "--check-cost", type=NumberParam(most=MOST_DOLLARS), metavar="DOLLARS", help="What checking one claim costs."
)
@click.option(
    "--check-time", type=DurationParam(), help="Instead: how long checking one claim takes, on a machine of --hour."
)
@click.option(
    "--hour", type=NumberParam(most=MOST_DOLLARS), metavar="DOLLARS", help="What an hour of that machine costs."
)
@click.option(
    "--false-share", type=NumberParam(most=1), metavar="SHARE", help="Share of claims that are false, 0.001 say."
)
@click.option(
    "--watchers", type=click.IntRange(1), default=1, show_default=True, help="Watchers that check every claim."
)
@click.option(
    "--interest", type=NumberParam(most=100), default="0", show_default=True, help="On idle money, a year; 0.04 say."
)
@click.option(
    "--ratio", type=click.IntRange(1), help="How many times the defence attacks shall cost.  [default: as deploy asks]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; wei are decimal strings.")
@click.option(
    "--plot",
    "plots",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    multiple=True,
    help="Draw ratios and break-even shares into this file, .svg or .png; may be given for each.",
)
def economics(
    file: Path | None,
    conditions: Path | None,
    gas_price: tuple[int, int] | None,
    eth: Fraction | None,
    check_cost: Fraction | None,
    check_time: float | None,
    hour: Fraction | None,
    false_share: Fraction | None,
    watchers: int,
    interest: Fraction,
    ratio: int | None,
    as_json: bool,
    plots: tuple[Path, ...],
) -> None:
    """Say what attacks cost both sides at the parameters of FILE, and when checking pays.

    FILE is a parameter file, as for deploy, or the file of a deployment (.json). What deploy refuses is judged by the same figures.
    """
    from rollup.files import require_writable
    from touchstone.cli.tables import show, table, text, together
    from touchstone.deployment.attacks import FACTOR
    from touchstone.deployment.economics import Economics, Market, ladder
    from touchstone.deployment.plot import draw
    from touchstone.deployment.tables import tables

    if file is None:
        raise click.UsageError("FILE is missing: ops/params/mainnet.toml, say, or a deployment's file")
    terms = _terms(file, conditions)
    low, high = gas_price or terms.conditions.gas_prices
    for plot in plots:
        require_writable(plot)
    market = Market(
        prices=ladder(low, high),
        ether=eth,
        check=_check(eth, check_cost, check_time, hour),
        share=false_share,
        watchers=watchers,
        interest=interest,
        factor=ratio or FACTOR,
    )
    found = Economics(terms, market)
    for plot in plots:
        draw(found, plot)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
        return
    for one in tables(found):
        show(
            together(text(one.title.upper()), text(one.text) if one.text else None, table(one.head, one.rows), text(""))
        )


def _terms(file: Path, conditions: Path | None) -> Terms:
    from rollup.l1.deployment import Deployment
    from touchstone.deployment.parameters import Terms

    if file.suffix != ".json":
        terms = Terms.load(file)
        return terms if conditions is None else replace(terms, conditions=Terms.load(conditions).conditions)
    if conditions is None:
        raise click.UsageError(f"{file} says nothing of blocks and gas prices; name a parameter file by --conditions")
    return replace(Terms.load(conditions), parameters=Deployment.load(file).parameters)


def _check(eth: Fraction | None, cost: Fraction | None, seconds: float | None, hour: Fraction | None) -> int | None:
    """Wei that a check costs; None if nothing was said of it."""
    if cost is None and seconds is None and hour is None:
        return None
    if cost is not None and (seconds is not None or hour is not None):
        raise click.UsageError("--check-cost says it all; leave --check-time and --hour out")
    if eth is None:
        raise click.UsageError("what a check costs is compared with ether; say its price by --eth")
    if cost is not None:
        dollars = cost
    elif seconds is not None and hour is not None:
        dollars = Fraction(str(seconds)) * hour / HOUR
    else:
        raise click.UsageError("--check-time and --hour go together: how long, and what an hour costs")
    return int(dollars / eth * ETHER)
