"""The money of the sequencer's account."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request

from rollup.errors import MoveError
from rollup.l1.client import Receipt
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
    return Sent(transaction=f"0x{receipt.transaction.hex()}", block=receipt.block, gas=receipt.gas)


def paying(operator: Operator) -> APIRouter:
    """The routes."""
    routes, client = router("money"), operator.client

    def moved(request: Request, receipt: Receipt) -> Moved:
        done = sent(receipt)
        note(request, transaction=done.transaction)
        return Moved(**done.model_dump(), balances=balances_of(operator))

    def brought(money: Money, move: Callable[[int], Receipt]) -> Receipt:
        wei, held = int(money.wei), client.chain.wei_of(client.account)
        if wei > held:
            raise MoveError(f"{client.account} has {held} wei on the chain, {wei - held} too few; send it some")
        return move(wei)

    @routes.get("/balances", summary="Free, earned, locked and on the chain", openapi_extra=needs(Role.READ))
    def balances() -> Balances:
        return balances_of(operator)

    @routes.post("/balances/deposit", summary="From the account into its free balance", openapi_extra=needs(Role.OWN))
    def deposit(money: Money, request: Request) -> Moved:
        return moved(request, decide(client, lambda: brought(money, client.deposit)))

    @routes.post("/balances/fund", summary="From the account into its earnings", openapi_extra=needs(Role.OWN))
    def fund(money: Money, request: Request) -> Moved:
        return moved(request, decide(client, lambda: brought(money, client.fund)))

    @routes.post("/balances/withdraw", summary="From the earnings to the account", openapi_extra=needs(Role.OWN))
    def withdraw(money: Money, request: Request) -> Moved:
        def make() -> Receipt:
            wei, earned = int(money.wei), client.earnings(client.account)
            if wei > earned:
                raise MoveError(
                    f"{client.account} has {earned} wei of earnings, {wei - earned} too few; free balance is announced first, "
                    "and what is locked is freed when its claims and games end"
                )
            return client.withdraw(wei)

        return moved(request, decide(client, make))

    @routes.post(
        "/balances/announce",
        summary="Say that free balance will leave",
        description="It may be completed once the deployment's withdrawal delay is over, and replaces what was announced before.",
        openapi_extra=needs(Role.OWN),
    )
    def announce(money: Money, request: Request) -> Moved:
        def make() -> Receipt:
            wei, free = int(money.wei), client.balance(client.account)
            if wei > free:
                raise MoveError(f"{client.account} has {free} wei free, {wei - free} too few; announce what is there")
            return client.announce_withdrawal(wei)

        return moved(request, decide(client, make))

    @routes.post(
        "/balances/complete",
        summary="From the free balance to the account, what was announced",
        openapi_extra=needs(Role.OWN),
    )
    def complete(request: Request) -> Moved:
        def make() -> Receipt:
            announced, due = client.withdrawal(client.account)
            now = client.chain.now()
            if not announced:
                raise MoveError(f"{client.account} announced no withdrawal; announce one first")
            if now < due:
                raise MoveError(
                    f"what {client.account} announced may leave from {due} on, it is {now}; wait {due - now} s"
                )
            return client.complete_withdrawal()

        return moved(request, decide(client, make))

    return routes
