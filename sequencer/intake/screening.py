"""Which of the waiting claims L1 would skip, found out before gas is spent on them.

What can't change is refused at once: an expired claim, a used nonce. What a reorganisation may have undone for a few blocks (a
deposit, a model's registration, an upload) is waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rollup.claim import Address, ClaimId, output_types
from rollup.form.encoding import decode_header
from rollup.l1.client import L1Client
from rollup.types import Duration, ModelId, Root, Timestamp
from rollup.words import show_wei, when
from sequencer.intake.money import usable
from sequencer.states import Entry, Head, HeldBack
from sequencer.store import Store

FORGET = 10
"""An obstacle that nobody stumbled over for so many graces is forgotten."""

LOOKS = 32
"""Of how many obstacles L1 is asked in one round whether they still stand; each has its turn."""

MOST = 2000
"""Obstacles that are waited for at once. Announcing is cheap, so that there may be any number: more get no grace."""


@dataclass(frozen=True)
class Poor:
    """The claimant's free balance, less what it announced to withdraw, does not suffice for a bond."""

    claimant: Address


@dataclass(frozen=True)
class Unregistered:
    """The model's registration vanished."""

    model_id: ModelId


@dataclass(frozen=True)
class NotUploaded:
    """The bytes behind a root are not on L1, and not in the claim."""

    claim_id: ClaimId
    model_id: ModelId
    is_output: bool
    root: Root


Obstacle = Poor | Unregistered | NotUploaded


@dataclass(frozen=True)
class Screened:
    """``good`` may be posted; ``refused`` never, for these reasons; what is ``held`` not now."""

    good: tuple[Entry, ...]
    refused: dict[ClaimId, str]
    held: HeldBack


@dataclass
class Screening:
    """``grace``: for how long a claim waits for an obstacle to go away, by L1's time. ``distrust``: for how long the claims of a
    claimant who spoiled a batch are not posted.
    """

    client: L1Client
    store: Store
    grace: Duration
    distrust: Duration
    _since: dict[Obstacle, Timestamp] = field(default_factory=dict)

    def held(self, head: Head) -> HeldBack:
        """What still can't be posted. What has waited for too long is not held: it is looked at again, and refused."""
        for obstacle, since in list(self._since.items()):
            if not 0 <= head.time - since <= FORGET * self.grace:
                del self._since[obstacle]
        for obstacle in list(self._since)[:LOOKS]:
            stands = self._stands(obstacle)
            since = self._since.pop(obstacle)
            if stands:
                self._since[obstacle] = since  # behind all others now
        waiting = _held(one for one, since in self._since.items() if head.time - since <= self.grace)
        spoilers = self.store.claims.spoilers(Timestamp(max(0, head.time - self.distrust)))
        return waiting | HeldBack(frozenset(spoilers))

    def _stands(self, obstacle: Obstacle) -> bool:
        match obstacle:
            case Poor(claimant):
                return usable(self.client, claimant) < self.client.parameters.claim_bond
            case Unregistered(model_id):
                return self.store.l1.header(model_id) is None
            case NotUploaded(_, model_id, is_output, root):
                return not self.client.is_assembled(model_id, is_output, root)

    def screen(self, entries: Sequence[Entry], head: Head) -> Screened:
        """Look at claims that are about to be posted on top of ``head``, in their order."""
        used = self.store.l1.used_nonces((entry.posted.claim.claimant, entry.posted.claim.nonce) for entry in entries)
        bond = self.client.parameters.claim_bond
        free: dict[Address, int] = {}
        good: list[Entry] = []
        refused: dict[ClaimId, str] = {}
        held = HeldBack()
        for entry in entries:
            claim = entry.posted.claim
            if head.time > claim.valid_until:
                refused[entry.claim_id] = (
                    f"the claim was valid until {when(claim.valid_until)}, it is {when(head.time)}; sign it again with a later time"
                )
                continue
            if (claim.claimant, claim.nonce) in used:
                refused[entry.claim_id] = (
                    f"{claim.claimant} has used or cancelled nonce {claim.nonce} on L1; sign with another"
                )
                continue
            obstacle = next((one for one in self._content(entry) if self._stands(one)), None)
            if obstacle is None:
                if claim.claimant not in free:
                    free[claim.claimant] = usable(self.client, claim.claimant)
                if free[claim.claimant] >= bond:
                    free[claim.claimant] -= bond
                    good.append(entry)
                    continue
                obstacle = Poor(claim.claimant)
            if self._grace(obstacle, head.time) < 0:
                refused[entry.claim_id] = self._sentence(obstacle)
            else:
                held |= _held([obstacle])
        return Screened(tuple(good), refused, held)

    def _grace(self, obstacle: Obstacle, now: Timestamp) -> int:
        """Seconds for which the obstacle is still waited for."""
        if obstacle not in self._since and len(self._since) >= MOST:
            return -1
        return self._since.setdefault(obstacle, now) + self.grace - now

    def _content(self, entry: Entry) -> Iterator[Obstacle]:
        """What might be missing on L1 beside the bond."""
        claim = entry.posted.claim
        yield Unregistered(claim.model_id)
        header = decode_header(self.store.l1.header(claim.model_id) or b"")
        if not entry.posted.inputs and any(tensor.bytes for tensor in header.inputs):
            yield NotUploaded(entry.claim_id, claim.model_id, False, claim.input_root)
        if not entry.posted.outputs and any(tensor.bytes for tensor in output_types(header)):
            yield NotUploaded(entry.claim_id, claim.model_id, True, claim.output_root)

    def _sentence(self, obstacle: Obstacle) -> str:
        match obstacle:
            case Poor(claimant):
                bond = self.client.parameters.claim_bond
                return f"{claimant} has too little left for the bond of {show_wei(bond)}; deposit, and sign a new claim"
            case Unregistered(model_id):
                return f"model 0x{model_id.hex()} is no longer registered; register it, and sign a new claim"
            case NotUploaded(_, _, is_output, root):
                what = "output" if is_output else "input"
                return f"the {what} behind root 0x{root.hex()} is no longer on L1; upload it, and sign a new claim"


def _held(obstacles: Iterable[Obstacle]) -> HeldBack:
    claimants, models, claims = set[Address](), set[ModelId](), set[ClaimId]()
    for obstacle in obstacles:
        match obstacle:
            case Poor(claimant):
                claimants.add(claimant)
            case Unregistered(model_id):
                models.add(model_id)
            case NotUploaded(claim_id):
                claims.add(claim_id)
    return HeldBack(frozenset(claimants), frozenset(models), frozenset(claims))
