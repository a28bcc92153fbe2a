"""``touchstone request ask``: a request of one's own, with the options that go together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from touchstone.cli.awaiting import finish, patience_flags
from touchstone.cli.params import AmountParam, HexParam, SecondsParam
from touchstone.cli.user import as_json_flag, chain_client, clamp_flag, hex_of, input_flag, sequencer_flag
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings

if TYPE_CHECKING:
    from rollup.claim import Address
    from touchstone.asking import Wanted

EXCLUSIVE = 600
"""Seconds for which only a named prover's claim answers."""

CALLBACK_GAS = 500_000
"""Of a callback for which nobody says it."""

COMMIT_BLOCKS = 20
LEAST, MOST = 3, 9
"""Provers of a quorum."""


@click.command()
@click.argument("model")
@input_flag
@clamp_flag
@click.option(
    "--fee",
    type=AmountParam(),
    help='What an answer is worth, "0.01 ether" say; by default three times what it costs now.',
)
@click.option(
    "--until",
    "lasting",
    type=SecondsParam(positive=True),
    default="1d",
    show_default=True,
    help="How long it can be answered.",
)
@click.option("--callback", type=HexParam(20), help="Contract that is told the answer; without one nobody is.")
@click.option(
    "--callback-gas",
    "gas_limit",
    type=click.IntRange(1, 5_000_000),
    help=f"Gas of that call.  [default: {CALLBACK_GAS}]",
)
@click.option("--data", type=HexParam(), help="What that contract is handed along.")
@click.option("--prover", type=HexParam(20), help="Account whose claim alone answers for a while.")
@click.option(
    "--quorum", type=click.IntRange(LEAST, MOST), help="So many equal answers are told before they are final."
)
@click.option(
    "--committee",
    type=HexParam(20),
    multiple=True,
    help="Account that answers for the quorum, once for each of them; without any they are drawn from those with a seat.",
)
@click.option(
    "--commit-blocks",
    type=click.IntRange(1, 65_535),
    help=f"Blocks that the quorum's provers have to run the model.  [default: {COMMIT_BLOCKS}]",
)
@click.option(
    "--exclusive",
    type=SecondsParam(positive=True),
    help="For how long only the named prover's claim answers (by default 10min), or the quorum's members' (by default not at all).",
)
@sequencer_flag("Sequencer that says what the model takes.")
@patience_flags
@as_json_flag
@options(ChainSettings)
def ask(
    settings: ChainSettings,
    model: str,
    source: Path,
    clamp: bool,
    url: str,
    wait: str | None,
    as_json: bool,
    patience: float,
    **said: Any,
) -> None:
    """Ask MODEL (its name or id) with the account's key, and with --wait print what is answered: with --quorum as soon as it agrees.

    Of the sequencer nothing is believed but what a name stands for; who answers is whoever comes first.
    """
    from rollup.client import Client
    from rollup.words import show_wei, when
    from touchstone.asking import ask as asked
    from touchstone.asking import posted_inputs
    from touchstone.models.arrays import read_inputs

    wanted = wanted_of(**said)
    client = chain_client(settings)
    with Client(url) as sequencer:
        view = sequencer.model(model)
    warn_if_short(wanted.lasting)
    made = asked(client, view, posted_inputs(view, read_inputs(source), clamp), wanted)
    if not as_json:
        click.echo(f"request  {hex_of(made.request_id)}")
        click.echo(f"fee      {show_wei(made.request.fee)}, held until {when(made.request.until)} at least")
        if wait:
            click.echo("waiting  until it is answered ...")
    finish(client, made.request_id, wait, patience, as_json)


def wanted_of(
    fee: int | None,
    lasting: int,
    callback: bytes | None,
    gas_limit: int | None,
    data: bytes | None,
    prover: bytes | None,
    quorum: int | None,
    committee: tuple[bytes, ...],
    commit_blocks: int | None,
    exclusive: int | None,
) -> Wanted:
    """What the options say together. Raises UsageError, which names the options, for what has no effect or no sense."""
    from touchstone.asking import Wanted

    size, members = quorum_of(quorum, committee)
    _require(callback is not None or gas_limit is None, "--callback-gas needs --callback: the contract that is called")
    _require(callback is not None or not data, "--data needs --callback: the contract that is handed it")
    _require(size > 0 or commit_blocks is None, "--commit-blocks needs --quorum, whose provers commit")
    _require(
        prover is None or size == 0, "--prover and --quorum exclude each other; name a quorum's provers by --committee"
    )
    _require(
        exclusive is None or prover is not None or size > 0,
        "--exclusive needs --prover or --quorum: it says how long theirs alone answers",
    )
    mine = exclusive if exclusive is not None else min(EXCLUSIVE, lasting) if prover else 0
    _require(
        mine <= lasting, f"--exclusive is {mine} s and ends behind --until, {lasting} s; give it {lasting} s at most"
    )
    return Wanted(
        address_of(callback),
        gas_limit=0 if callback is None else gas_limit or CALLBACK_GAS,
        data=data or b"",
        fee=fee,
        lasting=lasting,
        prover=address_of(prover),
        exclusive=mine,
        quorum=size,
        committee=members,
        commit_blocks=commit_blocks or COMMIT_BLOCKS,
    )


def address_of(given: bytes | None) -> Address:
    """The account with these bytes; nobody's if there are none."""
    from rollup.l1.account.signing import checksummed
    from rollup.l1.requests.asked import ANYBODY

    return ANYBODY if given is None else checksummed(hex_of(given))


def quorum_of(size: int | None, committee: tuple[bytes, ...]) -> tuple[int, tuple[Address, ...]]:
    """How many answer, and who, if they are named. Raises UsageError."""
    members = tuple(address_of(one) for one in sorted(committee))
    twice = next((one for one, after in pairwise(members) if one == after), None)
    _require(twice is None, f"--committee names {twice} twice; name each member once")
    found = size or len(members)
    _require(
        not members or (len(members) == found and LEAST <= found <= MOST),
        f"--committee names {len(members)} accounts; name as many as --quorum says, which is {LEAST} to {MOST}",
    )
    return found, members


def warn_if_short(lasting: int) -> None:
    """Say so if no sequencer with the usual margin would answer in that time."""
    from sequencer.requests.policy import DEFAULT_MARGIN

    if lasting <= DEFAULT_MARGIN:
        click.echo(
            f"warning  --until {lasting} s is short: a sequencer answers only if more than {DEFAULT_MARGIN} s are left to post a claim",
            err=True,
        )


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise click.UsageError(sentence)
