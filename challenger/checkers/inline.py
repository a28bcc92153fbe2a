"""Checks in the very thread that plays: for whoever embeds a watcher, for small programs and for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from challenger.checkers.checks import Done, HeldProgram, Order
from challenger.checkers.notes import Notes
from challenger.checkers.re_execute import Finding, Machine, ReExecute
from challenger.play.trace import ValueTrace
from challenger.watch.findings import TRACE_BYTES
from prover.executor import Executor
from rollup.claim import ClaimId
from rollup.form.program import Program
from rollup.types import ModelId

CHECKS = 16
CHECK_SECONDS = 5.0
"""Claims that are checked between two looks at one's games, at most, and after how long no other one is begun: a flood of
claims must not let a clock run out.
"""


class Inline:
    """``machine`` makes what runs a program. A check that stalls holds up the games."""

    wakes = False
    trace_bytes = TRACE_BYTES

    def __init__(
        self,
        machine: Callable[[Program], Machine] = Executor,
        notes: Notes | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine, self._notes, self._monotonic = machine, notes or Notes(), monotonic
        self._held: dict[ModelId, ReExecute] = {}
        self._done: list[Done] = []
        self._begun = 0
        self._until = 0.0

    def prepare(self, program: Program, folder: Path | None = None) -> ReExecute:
        return ReExecute(program, self._machine(program))

    def take(self, held: HeldProgram) -> None:
        assert isinstance(held, ReExecute)
        self._held[held.program.id] = held

    def room(self, model_id: ModelId) -> bool:
        return self._begun == 0 or (self._begun < CHECKS and self._monotonic() < self._until)

    def submit(self, order: Order) -> None:
        if self._begun == 0:
            self._until = self._monotonic() + CHECK_SECONDS
        self._begun += not order.trace
        started = time.perf_counter()
        self._notes.begin(order.claim_id)
        answer: Finding | ValueTrace | Exception
        try:
            checker = self._held[order.claim.model_id]
            claim, inputs, outputs = order.claim, order.inputs, order.outputs
            answer = checker.trace(inputs) if order.trace else checker.check(claim, inputs, outputs)
        except Exception as error:
            answer = error
        else:
            self._notes.end(order.claim_id)
        self._done.append(Done(order, answer, time.perf_counter() - started))

    def done(self, wait: float = 0.0) -> list[Done]:
        done, self._done, self._begun = self._done, [], 0
        return done

    def failures(self, claim_id: ClaimId) -> int:
        return self._notes.failures(claim_id)

    def close(self) -> None:
        """Nothing runs between two calls."""
