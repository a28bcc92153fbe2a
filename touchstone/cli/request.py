"""``touchstone request``: what a contract does, by hand: asks on L1, pays, and waits for an answer that is agreed or final."""

from __future__ import annotations

import json
from typing import Any

import click

from rollup.errors import MoveError
from touchstone.cli.ask import ask
from touchstone.cli.awaiting import finish, patience_flags
from touchstone.cli.group import Group
from touchstone.cli.params import HexParam
from touchstone.cli.user import as_json_flag, chain_client, client_of, hex_of
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings, UserSettings

STATES = ("open", "noted", "cancelled", "agreed", "answered", "undelivered", "refunded")

id_argument = click.argument("request_id", metavar="ID", type=HexParam(32))


@click.group(cls=Group)
def request() -> None:
    """Ask a model on L1, as contracts do: the fee waits in the Requests contract for whoever answers."""


request.add_command(ask)


@request.command()
@id_argument
@patience_flags
@as_json_flag
@options(ChainSettings)
def show(settings: ChainSettings, request_id: bytes, wait: str | None, patience: float, as_json: bool) -> None:
    """Show a request, its answer and the level of it, by L1's word alone; exit code 1 if --wait ends with a refund."""
    finish(chain_client(settings, signs=False), request_id, wait, patience, as_json)


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
    from rollup.words import when

    client = chain_client(settings)
    receipt = client.send(calls.cancel(find_request(client, request_id).request))
    click.echo(f"cancelled; claims that answer it may be posted until {when(receipt.one(RequestCancelled).until)}")


@request.command()
@id_argument
@options(ChainSettings)
def refund(settings: ChainSettings, request_id: bytes) -> None:
    """Give the fee of a request that nobody answered back to who asked; anyone may, once its time is over."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.lookup import find_request
    from rollup.words import show_wei

    client = chain_client(settings)
    found = find_request(client, request_id)
    client.send(calls.refund(found.request, found.made.data))
    click.echo(f"{found.request.requester} can take {show_wei(found.request.fee)} out: touchstone request withdraw")


@request.command()
@id_argument
@options(ChainSettings)
def deliver(settings: ChainSettings, request_id: bytes) -> None:
    """Make the callback of an answered request again, which failed; anyone may, as often as needed."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.events import CallbackDelivered
    from touchstone.asking import undelivered_answer

    client = chain_client(settings)
    found, outputs = undelivered_answer(client, request_id)
    receipt = client.send(calls.deliver(found.request, found.made.data, outputs))
    if not any(isinstance(event, CallbackDelivered) for event in receipt.events):
        raise MoveError(f"{found.request.callback} failed again; mend it, or make the call once it would succeed")
    click.echo(f"delivered to {found.request.callback}, for {receipt.gas} gas")


@request.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION", type=HexParam(32))
@options(ChainSettings)
def renew(settings: ChainSettings, subscription_id: bytes) -> None:
    """Make a subscription's next request, once its interval is over; anyone may."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.events import Requested
    from rollup.l1.requests.lookup import find_subscription
    from rollup.words import when

    client = chain_client(settings)
    begun = find_subscription(client, subscription_id)
    made = client.send(calls.renew(begun.subscription, begun.data)).one(Requested)
    click.echo(f"request  {hex_of(made.request_id)}, to be answered until {when(made.request.until)}")


@request.command()
@options(ChainSettings)
def withdraw(settings: ChainSettings) -> None:
    """Take out what the account earned by answers, or got back."""
    from rollup.l1.requests import calls
    from rollup.l1.requests.reads import earned
    from rollup.words import show_wei

    client = chain_client(settings)
    wei = earned(client, client.account)
    if wei:
        client.send(calls.withdraw())
    click.echo(f"{client.account} took {show_wei(wei)} out")


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
