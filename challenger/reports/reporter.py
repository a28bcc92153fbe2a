"""What becomes an alert: each thing once, however often it is seen."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

from challenger.play.simulation import Unprovable
from challenger.reports import meter
from challenger.reports.alerts import Alert, Kind, Severity, Sink
from challenger.state.l1_state import L1State
from challenger.troubles import is_outage
from rollup.claim import Address, ClaimId
from rollup.l1.answers import Receipt
from rollup.l1.events import Challenged, ChallengeLost, Convicted, Logged
from rollup.redact import without_endpoints
from rollup.types import ModelId

UNKNOWN_MODELS = 4096
"""Most models of which is remembered that an alert was raised."""


class Reporter:
    """Tells a sink. ``account``: whose games are won and lost; None if the watcher has none. ``holds``: about which
    models' disputes it tells.
    """

    def __init__(self, sink: Sink, account: Address | None, holds: Callable[[ModelId], bool]) -> None:
        self._sink, self._account, self._holds = sink, account, holds
        self._told: dict[ClaimId, set[object]] = {}
        self._states: set[Kind] = set()
        self._models: set[ModelId] = set()

    def once(self, kind: Kind, claim_id: ClaimId, sentence: str, about: object = None) -> None:
        """Tell it unless it was told about this claim (and what it is ``about``) before."""
        told = self._told.setdefault(claim_id, set())
        if (kind, about) not in told:
            told.add((kind, about))
            self._sink(Alert(kind, f"claim 0x{claim_id.hex()}: {sentence}", claim_id))

    def state(self, kind: Kind, sentence: str | None) -> None:
        """Tell that a state began (a sentence), or that it is over (None), when it changes."""
        if sentence is not None and kind not in self._states:
            self._states.add(kind)
            self._sink(Alert(kind, sentence))
        elif sentence is None and kind in self._states:
            self._states.remove(kind)
            self._sink(Alert(kind, f"{kind.value} is over", raised=Severity.INFO))

    def unknown(self, model_id: ModelId) -> None:
        """Tell of a claim about a model whose program is not held."""
        if model_id not in self._models and len(self._models) < UNKNOWN_MODELS:
            self._models.add(model_id)
            sentence = f"claims about model 0x{model_id.hex()} are not checked; add its program to watch them"
            self._sink(Alert(Kind.UNKNOWN_MODEL, sentence))

    def moves(self, claim_id: ClaimId, receipts: Iterable[Receipt]) -> None:
        """Tell and count the transactions of this account."""
        for receipt in receipts:
            meter.MOVES.labels(receipt.call).inc()
            meter.GAS.inc(receipt.gas)
            sentence = f"{receipt.call} in block {receipt.block} for {receipt.gas} gas"
            self.once(Kind.MOVE_MADE, claim_id, sentence, (receipt.transaction, receipt.call))

    def news(self, l1: L1State, news: Iterable[Logged]) -> None:
        """Tell what L1 said about games."""
        for logged in news:
            match logged.event:
                case Challenged() as game if self._watched(l1, game.claim_id):
                    who = "this watcher" if game.challenger == self._account else game.challenger
                    self.once(Kind.DISPUTE_OPENED, game.claim_id, f"{who} opened game {game.counter}", game.game_id)
                case Convicted() as verdict if self._mine(l1, verdict.claim_id, verdict.game_id):
                    meter.WON.inc()
                    sentence = f"it is INVALID, convicted by this watcher's game ({verdict.rule.name.lower()})"
                    self.once(Kind.WON, verdict.claim_id, sentence, verdict.game_id)
                case ChallengeLost() as lost if self._mine(l1, lost.claim_id, lost.game_id):
                    meter.LOST.inc()
                    sentence = "this watcher lost its game, and the bond in it; its clock ran out"
                    self.once(Kind.LOST, lost.claim_id, sentence, lost.game_id)

    def troubles(self, troubles: Mapping[ClaimId, Exception]) -> None:
        """Tell what goes wrong; what goes wrong in the same way again is not told again."""
        meter.TROUBLES.set(len(troubles))
        for claim_id, error in troubles.items():
            if is_outage(error):
                # One alert about the node is enough.
                continue
            sentence = without_endpoints(str(error))
            if isinstance(error, Unprovable):
                self.once(Kind.UNPROVABLE, claim_id, f"it is false, and no bond is put on that (again): {sentence}")
            else:
                self.once(Kind.TROUBLE, claim_id, f"{type(error).__name__}: {sentence}", type(error))

    def forget_all_but(self, claims: Container[ClaimId]) -> None:
        """Remember what was told about these claims alone."""
        self._told = {claim_id: told for claim_id, told in self._told.items() if claim_id in claims}

    def _watched(self, l1: L1State, claim_id: ClaimId) -> bool:
        posted = l1.claims.get(claim_id)
        return posted is not None and self._holds(posted.claim.model_id)

    def _mine(self, l1: L1State, claim_id: ClaimId, game_id: bytes) -> bool:
        return any(game.game_id == game_id and game.challenger == self._account for game in l1.opened(claim_id))
