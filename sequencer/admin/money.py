"""The money of the sequencer's account."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request

from rollup.errors import MoveError
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.types import Root
from rollup.wire import hex_of
from rollup.words import show_wei, when
from sequencer.admin.deciding import decide
from sequencer.admin.documents import Balances, Money, Moved, Sent
from sequencer.admin.guard import needs, note, router
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import Role


def balances_of(operator: Operator) -> Balances:
    """Raises ChainError."""
    client = operator.client
    announced, due = client.withdrawal(client.account)
    return Balances(
        account=client.account,
        free=str(client.balance(client.account)),
        earned=str(client.earnings(client.account)),
        locked=str(client.locked(client.account)),
        announced=str(announced),
        leaves_at=due or None,
        wei=str(client.chain.wei_of(client.account)),
    )


def sent(receipt: Receipt) -> Sent:
    return Sent(transaction=Root(receipt.transaction), block=receipt.block, gas=receipt.gas)


def _brought(client: L1Client, move: Callable[[int], Receipt], wei: int) -> Receipt:
    held = client.chain.wei_of(client.account)
    if wei > held:
        raise MoveError(
            f"{client.account} has {show_wei(held)} on the chain, {show_wei(wei - held)} too little; send it some"
        )
    return move(wei)


def _withdrawn(client: L1Client, wei: int) -> Receipt:
    earned = client.earnings(client.account)
    if wei > earned:
        raise MoveError(
            f"{client.account} has {show_wei(earned)} of earnings, {show_wei(wei - earned)} too little; free balance is announced first, "
            "and what is locked is freed when its claims and games end"
        )
    return client.withdraw(wei)


def _announced(client: L1Client, wei: int) -> Receipt:
    free = client.balance(client.account)
    if wei > free:
        raise MoveError(
            f"{client.account} has {show_wei(free)} free, {show_wei(wei - free)} too little; announce what is there"
        )
    return client.announce_withdrawal(wei)


def _completed(client: L1Client) -> Receipt:
    announced, due = client.withdrawal(client.account)
    now = client.chain.now()
    if not announced:
        raise MoveError(f"{client.account} announced no withdrawal; announce one first")
    if now < due:
        raise MoveError(f"what {client.account} announced may leave from {when(due)} on; wait {due - now} s")
    return client.complete_withdrawal()


def paying(operator: Operator) -> APIRouter:
    """The routes."""
    routes, client = router("money"), operator.client

    def moved(request: Request, make: Callable[[], Receipt]) -> Moved:
        done = sent(decide(client, make))
        note(request, transaction=hex_of(done.transaction))
        return Moved(**dict(done), balances=balances_of(operator))

    @routes.get("/balances", summary="Free, earned, locked and on the chain", openapi_extra=needs(Role.READ))
    def balances() -> Balances:
        return balances_of(operator)

    @routes.post("/balances/deposit", summary="From the account into its free balance", openapi_extra=needs(Role.OWN))
    def deposit(money: Money, request: Request) -> Moved:
        return moved(request, lambda: _brought(client, client.deposit, int(money.wei)))

    @routes.post("/balances/fund", summary="From the account into its earnings", openapi_extra=needs(Role.OWN))
    def fund(money: Money, request: Request) -> Moved:
        return moved(request, lambda: _brought(client, client.fund, int(money.wei)))

    @routes.post("/balances/withdraw", summary="From the earnings to the account", openapi_extra=needs(Role.OWN))
    def withdraw(money: Money, request: Request) -> Moved:
        return moved(request, lambda: _withdrawn(client, int(money.wei)))

    @routes.post(
        "/balances/announce",
        summary="Say that free balance will leave",
        description="It may be completed once the deployment's withdrawal delay is over, and replaces what was announced before.",
        openapi_extra=needs(Role.OWN),
    )
    def announce(money: Money, request: Request) -> Moved:
        return moved(request, lambda: _announced(client, int(money.wei)))

    @routes.post(
        "/balances/complete",
        summary="From the free balance to the account, what was announced",
        openapi_extra=needs(Role.OWN),
    )
    def complete(request: Request) -> Moved:
        return moved(request, lambda: _completed(client))

    return routes
