"""What an operator has in hand: the parts of a running sequencer that the admin API turns and reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rollup.archive import Programs
from rollup.batch import Batch, Inclusion
from rollup.claim import ClaimId
from rollup.errors import ClaimError
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged
from rollup.service.health import Health
from rollup.service.loop import Loop
from sequencer.admin.moves import ForcedMoves, PostedStanding, Published
from sequencer.admin.published import Provers
from sequencer.states import Switch
from sequencer.store import Store


class BatchControl(Protocol):
    """Whatever posts the claims that wait."""

    def flush(self) -> Sequence[object]:
        """Post everything that waits, due or not; returns what was posted, batch by batch."""
        ...


@dataclass(frozen=True)
class StoredClaims:
    """What the store knows of claims on L1, as a forced move needs it. ``sync``: has the store read what is new there."""

    store: Store
    sync: Callable[[], object]

    def standing(self, claim_id: ClaimId) -> PostedStanding:
        entry = self.store.claims.get(claim_id)
        if entry is None:
            raise ClaimError(f"claim 0x{claim_id.hex()} is not known here; check the id, or wait until L1 was read")
        batch = None if entry.batch is None else self.store.batches.get(entry.batch)
        if batch is None or entry.index is None:
            raise ClaimError(f"claim 0x{claim_id.hex()} is {entry.state}, it does not stand on L1; post it first")
        inclusion = Inclusion(batch.number, entry.index, Batch(batch.claims).siblings(entry.index))
        return PostedStanding(entry.posted.claim, inclusion, batch.closes_at)

    def games(self, claim_id: ClaimId) -> list[Challenged]:
        dispute = self.store.disputes.get(claim_id)
        return [game.opened for game in (dispute.games if dispute else ())]


@dataclass(frozen=True)
class Operator:
    """``client``: the sequencer's account. ``sync``: has the store read what is
    new on L1. ``wake``: makes the batcher look now. ``configuration``: what is in force, without
    secrets. ``now``: the machine's time.
    """

    store: Store
    client: L1Client
    programs: Programs
    batcher: BatchControl
    health: Health
    configuration: Callable[[], Mapping[str, Any]]
    sync: Callable[[], object]
    wake: Callable[[], None] = lambda: None
    published: Published = field(default_factory=lambda: Provers(()))
    loops: Sequence[Loop] = ()
    now: Callable[[], float] = time.time

    @property
    def moves(self) -> ForcedMoves:
        return ForcedMoves(self.client, StoredClaims(self.store, self.sync), self.published)

    def turn(self, switch: Switch, on: bool) -> None:
        """Set a switch, which holds until it is set again, restarts included."""
        self.store.switches.set(switch, on)
        self.wake()

    def is_on(self, switch: Switch) -> bool:
        return self.store.switches.get(switch)
