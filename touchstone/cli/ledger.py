"""``touchstone ledger ...``: the money of any account of one's own, without a service: a claimant's, a prover's, a watcher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rollup.errors import MoveError
from touchstone.cli.group import Group
from touchstone.cli.params import AmountParam
from touchstone.cli.user import account_flag, chain_client, reader_of
from touchstone.settings.options import options
from touchstone.settings.settings import ChainSettings

if TYPE_CHECKING:
    from rollup.claim import Address
    from rollup.l1.client import L1Client


@click.group(cls=Group)
def ledger() -> None:
    """Bonds come from an account's balances in the contract; move money there and back.

    Claims are bonded from the free balance, which leaves only some time after that was announced, so that no claim loses its bond on
    its way. Once a claim is final its bond is released, by anyone. Challenges are bonded from earnings: rewards, fees, bonds that came
    back, and what was funded; these leave at once.
    """


@ledger.command()
@account_flag
@options(ChainSettings)
def show(settings: ChainSettings, account: bytes | None) -> None:
    """What the account has free, earned, locked in bonds, announced to leave, and on the chain."""
    _show(*reader_of(settings, account))


@ledger.command()
@click.argument("amount", type=AmountParam())
@options(ChainSettings)
def deposit(settings: ChainSettings, amount: int) -> None:
    """Move AMOUNT ("0.1 ether", "30 gwei", "1 wei") from the account into its free balance, for claims."""
    client = chain_client(settings)
    _brings(client, amount)
    client.deposit(amount)
    _show(client, client.account)


@ledger.command()
@click.argument("amount", type=AmountParam())
@options(ChainSettings)
def fund(settings: ChainSettings, amount: int) -> None:
    """Move AMOUNT ("0.1 ether", "30 gwei", "1 wei") from the account into its earnings, for challenges."""
    client = chain_client(settings)
    _brings(client, amount)
    client.fund(amount)
    _show(client, client.account)


@ledger.command()
@click.argument("amount", type=AmountParam())
@options(ChainSettings)
def redeposit(settings: ChainSettings, amount: int) -> None:
    """Make AMOUNT of the earnings free balance."""
    client = chain_client(settings)
    _earned(client, amount)
    client.redeposit(amount)
    _show(client, client.account)


@ledger.command()
@click.argument("amount", type=AmountParam(), required=False)
@options(ChainSettings)
def withdraw(settings: ChainSettings, amount: int | None) -> None:
    """Move AMOUNT of the earnings, or all of them, to the account."""
    client = chain_client(settings)
    wei = client.earnings(client.account) if amount is None else amount
    if wei:
        _earned(client, wei)
        client.withdraw(wei)
    _show(client, client.account)


@ledger.command()
@click.argument("amount", type=AmountParam(zero=True), required=False)
@options(ChainSettings)
def announce(settings: ChainSettings, amount: int | None) -> None:
    """Announce that AMOUNT of the free balance, or all of it, will leave. It replaces what was announced before; 0 takes it back.

    Until it leaves it still stands for claims; sequencers count it as gone.
    """
    from rollup.words import show_wei

    client = chain_client(settings)
    wei = client.balance(client.account) if amount is None else amount
    if wei > (free := client.balance(client.account)):
        raise MoveError(
            f"{client.account} has {show_wei(free)} free, {show_wei(wei - free)} too little; the bond of a claim that is final is "
            "freed by touchstone ledger release"
        )
    client.announce_withdrawal(wei)
    _show(client, client.account)


@ledger.command()
@options(ChainSettings)
def complete(settings: ChainSettings) -> None:
    """Move what was announced from the free balance to the account, once the withdrawal delay is over."""
    from rollup.words import when

    client = chain_client(settings)
    announced, due = client.withdrawal(client.account)
    now = client.chain.now()
    if not announced:
        raise MoveError(f"{client.account} announced no withdrawal; announce one first (touchstone ledger announce)")
    if now < due:
        raise MoveError(f"what {client.account} announced may leave from {when(due)} on; wait {due - now} s")
    client.complete_withdrawal()
    _show(client, client.account)


@ledger.command()
@options(ChainSettings)
def release(settings: ChainSettings) -> None:
    """Free the bonds of the account's claims that are final, and say what the others wait for.

    Reads the deployment's events from its beginning. `touchstone prover` does this by itself for the claims that it defends.
    """
    from rollup.words import show_wei
    from touchstone.bonds import Bonds

    client = chain_client(settings)
    bonds = Bonds.of(client)
    freed = bonds.release(client)
    click.echo(f"released      {len(freed)} bonds of {show_wei(client.parameters.claim_bond)}")
    if bonds.waiting:
        click.echo(f"not final     {len(bonds.waiting)}, the next in {bonds.seconds} s if nobody disputes it")
    if bonds.disputed:
        click.echo(f"disputed      {len(bonds.disputed)}")
    _show(client, client.account)


@ledger.command()
@click.argument("amount", type=AmountParam(), default="10 ether")
@options(ChainSettings)
def faucet(settings: ChainSettings, amount: int) -> None:
    """Give the account AMOUNT from an account that development chains fund (`touchstone chain`, anvil); no other chain has it."""
    from rollup.l1.account.keys import load_signer
    from rollup.l1.node.development import KEYS
    from rollup.words import show_wei

    client = chain_client(settings)
    rich = load_signer(KEYS[-1])
    if client.chain.wei_of(rich.address) <= amount:
        raise MoveError(
            f"{rich.address}, which development chains fund, has no {show_wei(amount)} here; get some from whoever has it"
        )
    client.chain.transact(rich, client.account, b"", amount)
    _show(client, client.account)


def _brings(client: L1Client, wei: int) -> None:
    from rollup.words import show_wei

    held = client.chain.wei_of(client.account)
    if wei > held:
        raise MoveError(
            f"{client.account} has {show_wei(held)} on the chain, {show_wei(wei - held)} too little; send it some (on a development "
            "chain: touchstone ledger faucet)"
        )


def _earned(client: L1Client, wei: int) -> None:
    from rollup.words import show_wei

    earned = client.earnings(client.account)
    if wei > earned:
        raise MoveError(
            f"{client.account} has {show_wei(earned)} of earnings, {show_wei(wei - earned)} too little; free balance is announced first "
            "(touchstone ledger announce)"
        )


def _show(client: L1Client, account: Address) -> None:
    from rollup.words import show_wei, when
    from touchstone.cli import tables

    announced, due = client.withdrawal(account)
    amounts = {
        "free": client.balance(account),
        "earned": client.earnings(account),
        "locked": client.locked(account),
        "on the chain": client.chain.wei_of(account),
    }
    rows = [(name, f"{show_wei(wei)} ({wei} wei)") for name, wei in amounts.items()]
    if due:
        rows.insert(1, ("announced to leave", f"{show_wei(announced)} ({announced} wei), from {when(due)} on"))
    tables.show(tables.facts([("account", account), *rows]))
    if amounts["locked"]:
        click.echo("The bonds of claims that are final come back with: touchstone ledger release")
