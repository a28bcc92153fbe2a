"""``touchstone ledger ...``: the money of any account of one's own, without a service: a claimant's, a prover's, a watcher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from touchstone.cli.admin import Amount
from touchstone.cli.group import Group
from touchstone.options import options
from touchstone.settings import ChainSettings

if TYPE_CHECKING:
    from rollup.l1.client import L1Client


@click.group(cls=Group)
def ledger() -> None:
    """Bonds come from an account's free balance in the contract; move money there and back."""


@ledger.command()
@options(ChainSettings)
def show(settings: ChainSettings) -> None:
    """What the account has free, locked in bonds, and on the chain."""
    _show(_client(settings))


@ledger.command()
@click.argument("amount", type=Amount())
@options(ChainSettings)
def deposit(settings: ChainSettings, amount: int) -> None:
    """Move AMOUNT ("0.1 ether", or wei) from the account into its free balance."""
    client = _client(settings)
    client.deposit(amount)
    _show(client)


@ledger.command()
@click.argument("amount", type=Amount(), required=False)
@options(ChainSettings)
def withdraw(settings: ChainSettings, amount: int | None) -> None:
    """Move AMOUNT, or all that is free, from the account's balance back to it."""
    client = _client(settings)
    wei = client.balance(client.account) if amount is None else amount
    if wei:
        client.withdraw(wei)
    _show(client)


def _client(settings: ChainSettings) -> L1Client:
    from touchstone.services.l1 import client_of, signer_of

    return client_of(settings, signer_of(settings))


def _show(client: L1Client) -> None:
    from touchstone.cli import tables
    from touchstone.units import show_wei

    account = client.account
    amounts = {
        "free": client.balance(account),
        "locked": client.locked(account),
        "on the chain": client.chain.wei_of(account),
    }
    rows = [(name, f"{show_wei(wei)} ({wei} wei)") for name, wei in amounts.items()]
    tables.show(tables.facts([("account", account), *rows]))
