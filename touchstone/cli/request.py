"""``touchstone request``: what a contract does, by hand: asks on L1, pays, and waits for an answer that is agreed or final."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from touchstone.cli.group import Group
from touchstone.cli.params import AmountParam, HexParam, SecondsParam
from touchstone.cli.user import as_json_flag, chain_client, clamp_flag, client_of, hex_of, input_flag, wait_flags
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings, UserSettings

if TYPE_CHECKING:
    from rollup.claim import Address
    from rollup.l1.client import L1Client
    from rollup.l1.requests.lookup import FoundRequest

STATES = ("open", "noted", "cancelled", "agreed", "answered", "undelivered", "refunded")

EXCLUSIVE = 600
"""Seconds for which only a named prover's claim answers."""

id_argument = click.argument("request_id", metavar="ID", type=HexParam(32))


@click.group(cls=Group)
def request() -> None:
    """Ask a model on L1, as contracts do: the fee waits in the Requests contract for whoever answers."""


@request.command()
@click.argument("model")
@input_flag
@clamp_flag
@click.option(
    "--fee",
    type=AmountParam(),
    help='What an answer is worth, "0.01 ether" say; by default three times what it costs now.',
)
@click.option(
    "--until", "lasting", type=SecondsParam(), default="1d", show_default=True, help="How long it can be answered."
)
@click.option("--callback", type=HexParam(20), help="Contract that is told the answer; without one nobody is.")
@click.option("--callback-gas", "gas_limit", type=click.IntRange(0, 5_000_000), default=0, help="Gas of that call.")
@click.option("--data", type=HexParam(), default="0x", help="What that contract is handed along.")
@click.option("--prover", type=HexParam(20), help="Account whose claim alone answers for a while.")
@click.option("--quorum", type=click.IntRange(3, 9), help="So many equal answers are told before they are final.")
@click.option(
    "--committee",
    type=HexParam(20),
    multiple=True,
    help="Account that answers for the quorum, once for each of them; without any they are drawn from those with a seat.",
)
@click.option(
    "--commit-blocks",
    type=click.IntRange(1, 65_535),
    default=20,
    show_default=True,
    help="Blocks that the quorum's provers have to run the model.",
)
@click.option(
    "--exclusive",
    type=SecondsParam(),
    help="For how long only the named prover's claim answers (by default 10min), or the quorum's members' (by default not at all).",
)
@click.option(
    "--url",
    envvar="TOUCHSTONE_URL",
    default="http://127.0.0.1:8080",
    show_default=True,
    metavar="URL",
    help="Sequencer that says what the model takes.  [env TOUCHSTONE_URL]",
)
@wait_flags
@as_json_flag
@options(ChainSettings)
def ask(
    settings: ChainSettings,
    model: str,
    source: Path,
    clamp: bool,
    fee: int | None,
    url: str,
    wait: bool,
    as_json: bool,
    callback: bytes | None,
    prover: bytes | None,
    quorum: int | None,
    committee: tuple[bytes, ...],
    exclusive: int | None,
    patience: float,
    **said: Any,
) -> None:
    """Ask MODEL (its name or id) with the account's key, and with --wait print what is answered: with --quorum as soon as it agrees.

    Of the sequencer nothing is believed but what a name stands for; who answers is whoever comes first.
    """
    from rollup.client import Client
    from touchstone.asking import Wanted, posted_inputs
    from touchstone.asking import ask as asked
    from touchstone.models.arrays import read_inputs

    size, members = _quorum(quorum, committee)
    client = chain_client(settings)
    with Client(url) as sequencer:
        view = sequencer.model(model)
    wanted = Wanted(
        _address(callback),
        fee=fee,
        prover=_address(prover),
        quorum=size,
        committee=members,
        exclusive=exclusive if exclusive is not None else EXCLUSIVE if prover else 0,
        **said,
    )
    made = asked(client, view, posted_inputs(view, read_inputs(source), clamp), wanted)
    if not as_json:
        click.echo(f"request  {hex_of(made.request_id)}")
        click.echo(f"fee      {made.request.fee} wei, held until {made.request.until} at least")
        if wait:
            click.echo("waiting  until it is answered ...")
    _finish(client, made.request_id, patience if wait else None, as_json)


@request.command()
@id_argument
@wait_flags
@as_json_flag
@options(ChainSettings)
def show(settings: ChainSettings, request_id: bytes, wait: bool, patience: float, as_json: bool) -> None:
    """Show a request, its answer and the level of it, by L1's word alone; exit code 1 if --wait ends with a refund."""
    _finish(chain_client(settings, signs=False), request_id, patience if wait else None, as_json)


@request.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only requests in this state.")
@click.option("--model", metavar="MODEL", help="Only requests for this model (its name or id).")
@click.option("--requester", metavar="ADDRESS", help="Only requests of this account.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@as_json_flag
@options(UserSettings)
def list_(
    settings: UserSettings, state: Any, model: str | None, requester: str | None, limit: int, as_json: bool
) -> None:
    """List requests, newest first, as a sequencer tells of them, and why it does not answer some."""
    from itertools import islice

    from rollup.wire import address_of
    from rollup.words import show_wei, when
    from touchstone.cli.tables import show as printed
    from touchstone.cli.tables import table

    with client_of(settings) as client:
        about = None if model is None else client.model(model).id
        who = None if requester is None else address_of(requester, "--requester")
        pages = client.requests(state=state, model=about, requester=who, page=min(limit, 100))
        found = list(islice(pages, limit))
    if as_json:
        click.echo(json.dumps([_listed(view) for view in found], indent=2))
        return
    rows = (
        (
            hex_of(view.request_id),
            view.state,
            view.level,
            hex_of(view.model_id)[:18],
            show_wei(view.fee),
            when(view.until),
            view.reason or "",
        )
        for view in found
    )
    printed(table(("request", "state", "level", "model", "fee", "until", "not answered because"), rows, "no requests"))


@request.command()
@id_argument
@options(ChainSettings)
def cancel(settings: ChainSettings, request_id: bytes) -> None:
    """Let a request of the account's end soon: what is posted within the withdrawal delay still answers it."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.events import RequestCancelled
    from rollup.l1.requests.lookup import find_request

    client = chain_client(settings)
    receipt = client.send(calls.cancel(find_request(client, request_id).request))
    click.echo(f"cancelled; claims that answer it may be posted until {receipt.one(RequestCancelled).until}")


@request.command()
@id_argument
@options(ChainSettings)
def refund(settings: ChainSettings, request_id: bytes) -> None:
    """Give the fee of a request that nobody answered back to who asked; anyone may, once its time is over."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.lookup import find_request

    client = chain_client(settings)
    found = find_request(client, request_id)
    client.send(calls.refund(found.request, found.made.data))
    click.echo(f"{found.request.requester} can take {found.request.fee} wei out: touchstone request withdraw")


@request.command()
@options(ChainSettings)
def withdraw(settings: ChainSettings) -> None:
    """Take out what the account earned by answers, or got back."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.reads import earned

    client = chain_client(settings)
    wei = earned(client, client.account)
    if wei:
        client.send(calls.withdraw())
    click.echo(f"{client.account} took {wei} wei out")


def _address(given: bytes | None) -> Address:
    from rollup.l1.account.signing import checksummed
    from rollup.l1.requests.asked import ANYBODY

    return ANYBODY if given is None else checksummed(hex_of(given))


def _quorum(size: int | None, committee: tuple[bytes, ...]) -> tuple[int, tuple[Address, ...]]:
    """How many answer, and who, if they are named."""
    members = tuple(_address(one) for one in sorted(set(committee)))
    found = size or len(members)
    if members and (len(members) != found or not 3 <= found <= 9):
        raise click.UsageError(
            f"--committee names {len(members)} accounts; name as many as --quorum says, which is 3 to 9"
        )
    return found, members


def _finish(client: L1Client, request_id: bytes, patience: float | None, as_json: bool) -> None:
    """Print how far a request is, at the end of the wait if there is one."""
    from rollup.l1.requests.lookup import find_request
    from touchstone.asking import outputs, wait_answer

    found = find_request(client, request_id) if patience is None else wait_answer(client, request_id, patience)
    said = _fields(found) | {"outputs": outputs(client, found)}
    if as_json:
        click.echo(json.dumps(said, indent=2))
    else:
        for name, value in said.items():
            if value is not None and name not in ("request_id", "outputs"):
                click.echo(f"{name:<8} {value}")
        for number, output in enumerate(said["outputs"] or []):
            click.echo(f"output   {number}: {output}")
    if patience is not None and found.standing.level == "none":
        click.get_current_context().exit(1)


def _fields(found: FoundRequest) -> dict[str, Any]:
    from rollup.l1.requests.asked import ANYBODY

    request, standing = found.request, found.standing
    return {
        "request_id": hex_of(found.request_id),
        "state": found.state,
        "level": found.standing.level,
        "quorum": request.quorum or None,
        "model": hex_of(request.model_id),
        "fee": str(request.fee),
        "until": standing.until,
        "answer": None if standing.answer is None else hex_of(standing.answer),
        "paid": standing.claimant,
        "told": None if request.callback == ANYBODY else standing.told,
    }


def _listed(view: Any) -> dict[str, Any]:
    return {
        "request_id": hex_of(view.request_id),
        "state": view.state,
        "level": view.level,
        "quorum": view.quorum,
        "model_id": hex_of(view.model_id),
        "requester": view.requester,
        "fee": str(view.fee),
        "until": view.until,
        "answer": None if view.answer is None else hex_of(view.answer),
        "reason": view.reason,
    }
