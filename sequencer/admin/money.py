"""The money of the sequencer's account."""

from __future__ import annotations

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
    return Balances(
        account=client.account,
        free=str(client.balance(client.account)),
        locked=str(client.locked(client.account)),
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

    @routes.get("/balances", summary="Free, locked and on the chain", openapi_extra=needs(Role.READ))
    def balances() -> Balances:
        return balances_of(operator)

    @routes.post("/balances/deposit", summary="From the account into its free balance", openapi_extra=needs(Role.OWN))
    def deposit(money: Money, request: Request) -> Moved:
        def make() -> Receipt:
            wei, held = int(money.wei), client.chain.wei_of(client.account)
            if wei > held:
                raise MoveError(f"{client.account} has {held} wei on the chain, {wei - held} too few; send it some")
            return client.deposit(wei)

        return moved(request, decide(client, make))

    @routes.post("/balances/withdraw", summary="From the free balance to the account", openapi_extra=needs(Role.OWN))
    def withdraw(money: Money, request: Request) -> Moved:
        def make() -> Receipt:
            wei, free = int(money.wei), client.balance(client.account)
            if wei > free:
                raise MoveError(
                    f"{client.account} has {free} wei free, {wei - free} too few; "
                    "what is locked is freed when its claims and games end"
                )
            return client.withdraw(wei)

        return moved(request, decide(client, make))

    return routes
