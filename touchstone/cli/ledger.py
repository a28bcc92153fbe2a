"""``touchstone ledger ...``: the money of any account of one's own, without a service: a claimant's, a prover's, a watcher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rollup.errors import MoveError
from touchstone.cli.admin import Amount
from touchstone.cli.group import Group
from touchstone.options import options
from touchstone.settings import ChainSettings

if TYPE_CHECKING:
    from rollup.l1.client import L1Client


@click.group(cls=Group)
def ledger() -> None:
    """Bonds come from an account's balances in the contract; move money there and back.

    Claims are bonded from the free balance, which leaves only some time after that was announced, so that no claim loses its bond on
    its way. Challenges are bonded from earnings: rewards, fees, bonds that came back, and what was funded; these leave at once.
    """


@ledger.command()
@options(ChainSettings)
def show(settings: ChainSettings) -> None:
    """What the account has free, earned, locked in bonds, announced to leave, and on the chain."""
    _show(_client(settings))


@ledger.command()
@click.argument("amount", type=Amount())
@options(ChainSettings)
def deposit(settings: ChainSettings, amount: int) -> None:
    """Move AMOUNT ("0.1 ether", or wei) from the account into its free balance, for claims."""
    client = _client(settings)
    _brings(client, amount)
    client.deposit(amount)
    _show(client)


@ledger.command()
@click.argument("amount", type=Amount())
@options(ChainSettings)
def fund(settings: ChainSettings, amount: int) -> None:
    """Move AMOUNT ("0.1 ether", or wei) from the account into its earnings, for challenges."""
    client = _client(settings)
    _brings(client, amount)
    client.fund(amount)
    _show(client)


@ledger.command()
@click.argument("amount", type=Amount())
@options(ChainSettings)
def redeposit(settings: ChainSettings, amount: int) -> None:
    """Make AMOUNT of the earnings free balance."""
    client = _client(settings)
    _earned(client, amount)
    client.redeposit(amount)
    _show(client)


@ledger.command()
@click.argument("amount", type=Amount(), required=False)
@options(ChainSettings)
def withdraw(settings: ChainSettings, amount: int | None) -> None:
    """Move AMOUNT of the earnings, or all of them, to the account."""
    client = _client(settings)
    wei = client.earnings(client.account) if amount is None else amount
    if wei:
        _earned(client, wei)
        client.withdraw(wei)
    _show(client)


@ledger.command()
@click.argument("amount", type=Amount(), required=False)
@options(ChainSettings)
def announce(settings: ChainSettings, amount: int | None) -> None:
    """Announce that AMOUNT of the free balance, or all of it, will leave. It replaces what was announced before; 0 takes it back.

    Until it leaves it still stands for claims; sequencers count it as gone.
    """
    client = _client(settings)
    wei = client.balance(client.account) if amount is None else amount
    if wei > (free := client.balance(client.account)):
        raise MoveError(
            f"{client.account} has {free} wei free, {wei - free} too few; what is locked is freed when its claims end"
        )
    client.announce_withdrawal(wei)
    _show(client)


@ledger.command()
@options(ChainSettings)
def complete(settings: ChainSettings) -> None:
    """Move what was announced from the free balance to the account, once the withdrawal delay is over."""
    client = _client(settings)
    announced, due = client.withdrawal(client.account)
    now = client.chain.now()
    if not announced:
        raise MoveError(f"{client.account} announced no withdrawal; announce one first (touchstone ledger announce)")
    if now < due:
        raise MoveError(f"what {client.account} announced may leave from {due} on, it is {now}; wait {due - now} s")
    client.complete_withdrawal()
    _show(client)


def _brings(client: L1Client, wei: int) -> None:
    held = client.chain.wei_of(client.account)
    if wei > held:
        raise MoveError(f"{client.account} has {held} wei on the chain, {wei - held} too few; send it some")


def _earned(client: L1Client, wei: int) -> None:
    earned = client.earnings(client.account)
    if wei > earned:
        raise MoveError(
            f"{client.account} has {earned} wei of earnings, {wei - earned} too few; free balance is announced first "
            "(touchstone ledger announce)"
        )


def _client(settings: ChainSettings) -> L1Client:
    from touchstone.services.l1 import client_of, signer_of

    return client_of(settings, signer_of(settings))


def _show(client: L1Client) -> None:
    from touchstone.cli import tables
    from touchstone.units import show_wei

    account = client.account
    announced, due = client.withdrawal(account)
    amounts = {
        "free": client.balance(account),
        "earned": client.earnings(account),
        "locked": client.locked(account),
        "on the chain": client.chain.wei_of(account),
    }
    rows = [(name, f"{show_wei(wei)} ({wei} wei)") for name, wei in amounts.items()]
    if due:
        rows.insert(1, ("announced to leave", f"{show_wei(announced)} ({announced} wei), from {tables.when(due)} on"))
    tables.show(tables.facts([("account", account), *rows]))
