"""What is kept of disputes: the moves that L1's events are, and the games in which they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rollup.claim import Address, ClaimId
from rollup.form.ops import Monoid
from rollup.game.moves import MoveKind, Rule
from rollup.game.position import ROOT
from rollup.game.question import decode_results
from rollup.l1.events import (
    Answered,
    Challenged,
    ChallengeLost,
    Committed,
    Convicted,
    Descended,
    LeafRevealed,
    Logged,
    Narrowed,
    Reclaimed,
    Revealed,
    Selected,
    TraceRootSet,
)
from rollup.types import Gindex, Root, Timestamp, hex_of

MOVES = (
    Challenged,
    Committed,
    TraceRootSet,
    Revealed,
    LeafRevealed,
    Selected,
    Descended,
    Answered,
    Narrowed,
    Convicted,
    ChallengeLost,
    Reclaimed,
)
"""Events that are moves."""

SETTLES = frozenset({Rule.PART, Rule.EPILOGUE})
"""Rules that convict inside an element."""


NEVER, NOBODY = Timestamp(0), Address("")


class Outcome(StrEnum):
    """How a game ended: it convicted the claim, its challenger lost it, or another game's conviction ended it."""

    CONVICTED = "convicted"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True)
class Said:
    """Where on the chain an event stands. ``at``, ``sender``, ``gas``: when and by whom it was caused, and what the whole
    transaction used; nothing, unless somebody asked for its receipt.
    """

    block: int
    log_index: int
    transaction: bytes
    at: Timestamp = NEVER
    sender: Address = NOBODY
    gas: int = 0

    @classmethod
    def of(cls, logged: Logged) -> Said:
        return cls(logged.block, logged.index, logged.transaction)


@dataclass(frozen=True)
class GameRecord:
    """One game about a claim: how it was opened, where it stands, and whether it goes on.

    ``opened``: the event that began it, with the commitment that counts now. ``node`` at ``position`` is where it stands.
    ``question``: inside an element, what is in question there, as JSON has it (``rollup.game.question``); ``position`` is then the
    leaf, and ``node`` the question's hash. ``ended``: None while it is open. ``bond_free``: the challenger's bond is locked no
    more.
    """

    opened: Challenged
    block: int
    opened_at: Timestamp
    position: Gindex
    node: Root
    ended: Outcome | None = None
    question: Mapping[str, Any] | None = None
    bond_free: bool = False

    @property
    def game_id(self) -> bytes:
        return self.opened.game_id

    @property
    def claim_id(self) -> ClaimId:
        return self.opened.claim_id


@dataclass(frozen=True)
class MoveRecord:
    """One thing said in a dispute. ``game_id`` None: it is about the claim as a whole. A reveal and an answer name no game: they
    count for every open game that stands on their node. ``extra``: what else the event says; byte strings as 0x hex, large
    numbers as decimal strings.
    """

    claim_id: ClaimId
    game_id: bytes | None
    kind: MoveKind
    said: Said
    position: Gindex | None = None
    node: Root | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def convicted(self) -> Convicted | None:
        """What L1 said of the conviction, if the move is one."""
        if "rule" not in self.extra:
            return None
        said = self.extra
        return Convicted(
            self.claim_id,
            self.game_id or b"",
            Rule[str(said["rule"]).upper()],
            Gindex(int(said["place"])),
            int(said["trace_index"]),
            int(said["element"]),
            int(said["part"]),
            kept_bytes(said["claimed"]),
            kept_bytes(said["computed"]),
        )


def about_claim(event: Challenged | TraceRootSet | Convicted | ChallengeLost | Reclaimed, said: Said) -> MoveRecord:
    match event:
        case Challenged(claim_id, game_id, _, _, trace_root):
            return MoveRecord(claim_id, game_id, MoveKind.CHALLENGE, said, ROOT, trace_root, told(event))
        case TraceRootSet(claim_id, trace_root):
            return MoveRecord(claim_id, None, MoveKind.SET_TRACE_ROOT, said, ROOT, trace_root)
        case Convicted(claim_id, game_id, rule, place):
            kind = MoveKind.SETTLE if rule in SETTLES else MoveKind.PROVE
            kind = MoveKind.TIMEOUT if rule is Rule.TIMEOUT else kind
            return MoveRecord(claim_id, game_id, kind, said, place, None, told(event))
        case ChallengeLost(claim_id, game_id):
            return MoveRecord(claim_id, game_id, MoveKind.TIMEOUT, said, extra=told(event))
        case Reclaimed(claim_id, game_id):
            return MoveRecord(claim_id, game_id, MoveKind.RECLAIM, said)


def opening(game: GameRecord, event: Revealed | LeafRevealed | Answered, said: Said) -> MoveRecord | None:
    """An opening of the node that the game stands on; None for an answer to what nobody asked."""
    extra: Mapping[str, Any] = {}
    match event:
        case Revealed():
            kind = MoveKind.REVEAL
        case LeafRevealed():
            kind = MoveKind.REVEAL_LEAF
        case Answered(_, _, results):
            if game.question is None:
                return None
            found = decode_results(Monoid[str(game.question["monoid"]).upper()], results)
            given = [{"value": str(one.value), "position": str(one.position)} for one in found]
            kind, extra = MoveKind.PARTIALS, {"question": game.question, "results": given}
    return MoveRecord(game.claim_id, game.game_id, kind, said, game.position, game.node, extra)


def told(event: Challenged | Committed | Convicted | ChallengeLost) -> dict[str, str]:
    """What an event says beside its claim and game."""
    found: dict[str, str] = {}
    for name, value in vars(event).items():
        if name not in ("claim_id", "game_id"):
            shown = hex_of(value) if isinstance(value, bytes) else str(value)
            found[name] = value.name.lower() if isinstance(value, Rule) else shown
    return found


def kept_bytes(text: str) -> bytes:
    """Bytes that ``told`` wrote; what somebody else wrote is read by ``rollup.wire``."""
    return bytes.fromhex(str(text)[2:])
