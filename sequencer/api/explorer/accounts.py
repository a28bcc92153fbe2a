"""An account: its money on L1's ledger, its claims, and the games that it plays."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Annotated

from cachetools import TTLCache
from fastapi import APIRouter, Path

from rollup import wire
from rollup.claim import Address
from rollup.documents.explorer import AccountView, GameOf
from rollup.errors import ChainError, ClaimError
from rollup.service.problem import Problem
from rollup.types import Root
from sequencer.api import parts as shared
from sequencer.api.parts import Parts
from sequencer.states import GameAbout

KEPT_SECONDS = 2.0
MOST = 512

Money = dict[str, str | None]


class Ledger:
    """What L1 says of accounts' money, asked by one thread at a time and kept for a moment. ``kept``: seconds."""

    def __init__(self, parts: Parts, kept: float = KEPT_SECONDS) -> None:
        self._client = parts.client
        self._kept: TTLCache[Address, Money] = TTLCache(MOST, kept)
        self._lock = Lock()

    def of(self, account: Address) -> Money:
        """``free``, ``locked``, ``earned`` in wei; nulls if L1 can't be asked."""
        with self._lock:
            if account not in self._kept:
                try:
                    reads = (self._client.balance, self._client.locked, self._client.earnings)
                    values: Sequence[str | None] = [str(read(account)) for read in reads]
                except ChainError:
                    values = [None, None, None]
                money = dict(zip(("free", "locked", "earned"), values, strict=True))
                self._kept[account] = money
                return money
            return self._kept[account]


def accounts_routes(parts: Parts) -> APIRouter:
    routes = shared.router("network")
    ledger = Ledger(parts, parts.kept_seconds)

    @routes.get(
        "/accounts/{account}",
        operation_id="getAccount",
        summary="An account's bonds, claims by state, and games",
    )
    def get_account(
        account: Annotated[
            str,
            Path(
                description="Its address.",
                json_schema_extra={"pattern": "^0x[0-9a-fA-F]{40}$"},
                examples=["0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"],
            ),
        ],
    ) -> AccountView:
        who = _address(account)
        finding = parts.store.finding
        return AccountView(
            account=who,
            **ledger.of(who),
            claims={state.value: count for state, count in finding.claims_of(who).items()},
            challenges=[_game(one) for one in finding.challenges_of(who)],
            challenged=[_game(one) for one in finding.games_about(who)],
        )

    return routes


def _address(text: str) -> Address:
    try:
        return wire.address_of(text, "account")
    except ClaimError as error:
        raise Problem(404, "unknown-account", "No such account", str(error)) from None


def _game(one: GameAbout) -> GameOf:
    game = one.game
    return GameOf(
        claim_id=game.claim_id,
        game_id=Root(game.game_id),
        model_id=one.model_id,
        challenger=game.opened.challenger,
        claimant=one.claimant,
        state="open" if game.ended is None else game.ended.value,
        opened_at=game.opened_at,
    )
