"""``touchstone stake ...``: what a prover has at stake to be drawn for quorums, and the models for which it can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rollup.errors import MoveError
from touchstone.cli.group import Group
from touchstone.cli.params import AmountParam, HexParam
from touchstone.cli.user import account_flag, chain_client, hex_of, reader_of, sequencer_flag
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings

if TYPE_CHECKING:
    from rollup.claim import Address
    from rollup.l1.client import L1Client
    from rollup.types import ModelId

F = TypeVar("F", bound=Callable[..., Any])


def model_argument(command: F) -> F:
    """``model``: a name or an id; ``url``: of the sequencer that knows the name."""
    named = click.argument("model", metavar="MODEL")
    return named(sequencer_flag("Sequencer that says what a model's name stands for.")(command))


@click.group(cls=Group)
def stake() -> None:
    """A prover with a seat for a model is drawn for quorums of requests that name no committee.

    A seat holds one share of the stake, and so does each answer of a drawn prover until it is settled. A share is burned if the game
    convicts the answer, and for nothing else. `touchstone prover --quorum-spend` answers.
    """


@stake.command()
@account_flag
@options(ChainSettings)
def show(settings: ChainSettings, account: bytes | None) -> None:
    """What the account has at stake, free and held, and its seats."""
    _show(*reader_of(settings, account))


@stake.command()
@click.argument("amount", type=AmountParam())
@options(ChainSettings)
def add(settings: ChainSettings, amount: int) -> None:
    """Put AMOUNT ("0.1 ether", "30 gwei", "1 wei") of the account at stake."""
    from rollup.l1.requests.quorum import stake as put
    from rollup.words import show_wei

    client = chain_client(settings)
    held = client.chain.wei_of(client.account)
    if amount > held:
        raise MoveError(
            f"{client.account} has {show_wei(held)} on the chain, {show_wei(amount - held)} too little; send it some"
        )
    client.send(put(amount))
    _show(client, client.account)


@stake.command()
@click.argument("amount", type=AmountParam(), required=False)
@options(ChainSettings)
def take(settings: ChainSettings, amount: int | None) -> None:
    """Take AMOUNT of the free stake, or all of it, back to the account."""
    from rollup.l1.requests.quorum import stake_of, unstake
    from rollup.words import show_wei

    client = chain_client(settings)
    free, _ = stake_of(client, client.account)
    wei = free if amount is None else amount
    if wei > free:
        raise MoveError(
            f"{client.account} has {show_wei(free)} of free stake, {show_wei(wei - free)} too little; a seat's share is freed by "
            "touchstone stake vacate, an answer's once it is settled"
        )
    if wei:
        client.send(unstake(wei))
    _show(client, client.account)


@stake.command("join")
@model_argument
@options(ChainSettings)
def join_(settings: ChainSettings, model: str, url: str) -> None:
    """Take a seat for MODEL (its name or id): the account can be drawn for requests that are made from the next block on."""
    from rollup.l1.requests.quorum import join, share, stake_of
    from rollup.words import show_wei

    model_id, client = _model(model, url), chain_client(settings)
    free, needed = stake_of(client, client.account)[0], share(client)
    if free < needed:
        raise MoveError(
            f"a seat holds {show_wei(needed)}, {client.account} has {show_wei(free)} of free stake; touchstone stake add"
        )
    client.send(join(model_id))
    _show(client, client.account)


@stake.command("resign")
@model_argument
@options(ChainSettings)
def resign_(settings: ChainSettings, model: str, url: str) -> None:
    """Give the seat for MODEL up: later requests don't draw it. Its share is freed some blocks later (`touchstone stake vacate`)."""
    from rollup.l1.requests.quorum import resign

    client = chain_client(settings)
    client.send(resign(_model(model, url)))
    _show(client, client.account)


@stake.command("vacate")
@model_argument
@options(ChainSettings)
def vacate_(settings: ChainSettings, model: str, url: str) -> None:
    """Free the share of a seat that was given up, once it can no longer be drawn."""
    from rollup.l1.requests.quorum import vacate

    client = chain_client(settings)
    client.send(vacate(_model(model, url)))
    _show(client, client.account)


def _model(named: str, url: str) -> ModelId:
    """The id that is written, or that a sequencer has for a name."""
    from rollup.client import Client
    from rollup.types import ModelId, Root

    if named.startswith("0x"):
        return ModelId(Root(HexParam(32).convert(named, None, None)))
    with Client(url) as sequencer:
        return sequencer.model(named).id


def _show(client: L1Client, account: Address) -> None:
    from rollup.l1.requests.quorum import share, stake_of
    from rollup.l1.requests.seats import seats_of
    from rollup.words import show_wei
    from touchstone.cli import tables

    free, held = stake_of(client, account)
    amounts = {"free": free, "held": held, "a share": share(client)}
    rows = [(name, f"{show_wei(wei)} ({wei} wei)") for name, wei in amounts.items()]
    tables.show(tables.facts([("account", account), *rows]))
    for model_id, seat in seats_of(client, account).items():
        since = f"since block {seat.joined}"
        if seat.vacant_from is not None:
            since = f"given up in block {seat.left}; its share can be freed from block {seat.vacant_from} on"
        click.echo(f"seat for {hex_of(model_id)} {since}")
