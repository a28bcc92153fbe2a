"""What an account asks on L1 during the campaign, and what must become of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from rollup.claim import Address
from rollup.errors import Reverted
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.l1.requests import calls
from rollup.l1.requests.asked import ANYBODY, Request
from rollup.l1.requests.events import RequestCancelled, Requested
from rollup.types import Timestamp
from tests.anvil import Anvil
from tests.campaigns.crash.killer import Killer
from tests.sequencer.requests.world import BURNS, REVERTS, SWITCH, TAKES, consumer_of, input_bytes, request_of
from tests.world import ETHER

FEE = ETHER // 20
CANCELLED = ("reserved", "cancelled")
"""Kinds of questions that are cancelled at once: one that only an absent prover may answer, and one that the sequencer may."""


SLACK = 15
"""Seconds after which what was posted in time is known."""


class Progress(IntEnum):
    """The contract's, where there is no quorum."""

    OPEN = 1
    ANSWERED = 2
    UNDELIVERED = 3
    REFUNDED = 4


ALLOWED: Mapping[str, frozenset[Progress]] = {
    "taken": frozenset({Progress.ANSWERED}),
    "lied about": frozenset({Progress.ANSWERED}),
    "mended": frozenset({Progress.ANSWERED}),
    "refused": frozenset({Progress.UNDELIVERED}),
    "burned": frozenset({Progress.UNDELIVERED}),
    "cancelled": frozenset({Progress.ANSWERED, Progress.REFUNDED}),
    "reserved": frozenset({Progress.REFUNDED}),
}
"""How a question of each kind may end."""

CODE = {"mended": SWITCH, "refused": REVERTS, "burned": BURNS}
"""Consumers; the others take whatever they are told."""


@dataclass(frozen=True)
class Question:
    """A request that was made. ``seed``: of its inputs."""

    kind: str
    seed: int
    made: Requested

    @property
    def request_id(self) -> bytes:
        return self.made.request_id

    @property
    def request(self) -> Request:
        return self.made.request


class Requester:
    """An account that asks about the toy, cancels, mends its consumers and takes its money back; never killed."""

    def __init__(self, node: Anvil, client: L1Client, program: Program, killer: Killer) -> None:
        self._node, self.client, self._program, self._killer = node, client, program, killer
        self.asked: dict[bytes, Question] = {}
        self._mended: set[bytes] = set()
        self._consumers: dict[bytes, Address] = {}
        self._until: dict[bytes, Timestamp] = {}

    def ask(self, kind: str) -> Question:
        """Ask, and cancel at once what is to be cancelled."""
        code, now, seed = CODE.get(kind, TAKES), self.client.chain.now(), len(self.asked)
        if code is SWITCH or code not in self._consumers:
            self._consumers[code] = consumer_of(self.client, code)
        reserved = self._node.signer("absent prover").address if kind == "reserved" else ANYBODY
        request = request_of(now, self._consumers[code], FEE, prover=reserved, exclusive=3600)
        request = replace(request, model_id=self._program.id)
        question = Question(
            kind, seed, self.client.send(calls.ask(request, input_bytes(seed), b"along")).one(Requested)
        )
        self.asked[question.request_id] = question
        self._killer.happened("asked")
        if kind in CANCELLED:
            cancelled = self.client.send(calls.cancel(question.request)).one(RequestCancelled)
            self._until[question.request_id] = cancelled.until
            self._killer.happened("cancelled")
        return question

    def progress(self, question: Question) -> Progress:
        """What L1 says now."""
        return Progress(self.client.ask_requests("progressOf", question.request_id))

    def tend(self) -> None:
        """Let every consumer that waits to be mended take its answer."""
        for question in self.asked.values():
            if question.kind != "mended" or question.request_id in self._mended:
                continue
            if self.progress(question) is Progress.UNDELIVERED:
                word = (1).to_bytes(32, "big")
                self.client.chain.transact(self.client._key(), question.request.callback, word)
                self._mended.add(question.request_id)

    def unsettled(self, claimed: Collection[bytes]) -> list[Question]:
        """Those that the sequencer has to answer, or began to answer, and whose answer is not there yet. ``claimed``: requests that
        claims on L1 name.
        """
        now, found = self.client.chain.now(), []
        for question in self.asked.values():
            if question.kind == "reserved" or self.progress(question) in ALLOWED[question.kind]:
                continue
            until = self._until.get(question.request_id)
            if until is None or now <= until + SLACK or question.request_id in claimed:
                found.append(question)
        return found

    def take_back(self) -> None:
        """Refund what nobody answered, in time that goes by at once, and take the money out."""
        self._node.advance(self.client.parameters.withdrawal_delay + 2 * self.client.parameters.window)
        for question in self.asked.values():
            if self.progress(question) is Progress.OPEN:
                try:
                    self.client.send(calls.refund(question.request, question.made.data))
                except Reverted as error:
                    raise AssertionError(
                        f"a {question.kind} request is open and can't be taken back: {error}"
                    ) from error
        self.client.send(calls.withdraw())
