"""Checks in processes of their own, one a program: fairly between programs, the failed ones last."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from challenger.checkers.budget import Budget
from challenger.checkers.checks import CheckFailed, Done, HeldProgram, Order, Urgency
from challenger.checkers.files import map_trace
from challenger.checkers.notes import Notes
from challenger.checkers.process import Process
from challenger.checkers.re_execute import Finding
from challenger.checkers.room import Room
from challenger.checkers.schedule import Loaded, Running, Schedule
from challenger.play.trace import ValueTrace
from rollup.claim import ClaimId
from rollup.form.program import Program
from rollup.service.logs import logger
from rollup.types import ModelId

MACHINE = "prover.executor:Executor"

PROCESSES = 2
"""Checks that run at the same time. One is kept for short ones."""

IDLE = 8
"""Most workers that wait for their program's next claim; the least recently used are ended first."""

AHEAD = 16
"""Most claims about one model that are ordered ahead: what comes in later may be more urgent."""

TOGETHER_SECONDS = 10.0
"""Claims that are checked together have stalled after this, and are checked one by one."""

TRACE_BYTES = 4 << 30
"""Most bytes of traces that are held, in files."""

_log = logger("touchstone.checks")


@dataclass
class _Shared(Schedule):
    """What the threads share, under one condition."""

    done: list[Done] = field(default_factory=list)
    idle: list[tuple[ModelId, Process]] = field(default_factory=list)
    busy: set[Process] = field(default_factory=set)
    closing: bool = False


class Pool:
    """``machine``: ``module:name`` of what runs programs. ``folder``: where traces, and programs that lie nowhere else, are put
    as long as they are needed; None: a temporary one. ``starts``: a folder for what workers
    compile and test, so that the next one need not. ``wake`` is called, from any thread, when something is done.

    Programs share the time fairly: next is whoever had the least of it (counting what the next check is expected to take),
    so a program that is checked slowly delays no other one by more than a check that is under way. What failed before, and
    what takes long, never has all processes.
    """

    wakes = True

    def __init__(
        self,
        budget: Budget,
        processes: int = PROCESSES,
        folder: Path | None = None,
        notes: Notes | None = None,
        machine: str = MACHINE,
        starts: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        # Temporary files may lie in memory.
        self.trace_bytes = min(TRACE_BYTES, budget.trace_bytes)
        self.wake: Callable[[], object] = lambda: None
        self._machine, self._starts, self._processes, self._monotonic = machine, starts, processes, monotonic
        self._notes = notes or Notes()
        self._room = Room(folder)
        self._folder = self._room.folder
        self._speed: float | None = None
        self._files = 0
        self._shared = _Shared()
        self._changed = Condition()
        self._threads = [Thread(target=self._work, name=f"check {n}", daemon=True) for n in range(processes)]
        for thread in self._threads:
            thread.start()

    def prepare(self, program: Program, folder: Path | None = None) -> Loaded:
        """Test and run the program in a worker that is kept for it. Raises TooLarge for a program whose checks do not fit
        the budget, CheckFailed if that can't be found out within it, and what the test raises.
        """
        self.budget.refuse(program, math.inf)
        process = self._start()
        try:
            self.budget.refuse(program, self._steps_a_second(process, program))
            if folder is None:
                folder = self._folder / program.id.hex()
                program.save(folder)
            took = self._load(process, program, folder)
            tested = Loaded(program, folder, took["check"], took["trace"], int(took["most"]))
            self.budget.refuse_measured(program, max(tested.check, tested.trace))
        except CheckFailed as error:
            process.end()
            raise CheckFailed(
                f"model 0x{program.id.hex()} can't be watched here: loading, testing and running it once came to no end: {error}"
            ) from None
        except Exception:
            process.end()
            raise
        finally:
            self._leave(process)
        self._keep(program.id, process)
        return tested

    def _steps_a_second(self, process: Process, program: Program) -> float:
        """How fast this machine is at most; measured once, if it matters at all."""
        if self.budget.fits_anyway(program):
            return math.inf
        if self._speed is None:
            self._speed = float(process.ask({"do": "speed"}, seconds=self.budget.load_seconds)["steps_a_second"])
        return self._speed

    def take(self, held: HeldProgram) -> None:
        assert isinstance(held, Loaded)
        with self._changed:
            self._shared.held[held.program.id] = held

    def room(self, model_id: ModelId) -> bool:
        with self._changed:
            here = [order for order in self._shared.orders if not order.trace]
            return sum(order.claim.model_id == model_id for order in here) < AHEAD

    def submit(self, order: Order) -> None:
        with self._changed:
            self._shared.orders.append(order)
            self._changed.notify_all()

    def done(self, wait: float = 0.0) -> list[Done]:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._shared.done, wait)
            done, self._shared.done = self._shared.done, []
        return done

    def failures(self, claim_id: ClaimId) -> int:
        return self._notes.failures(claim_id)

    def close(self) -> None:
        """End all workers, whatever they are at; what is not done by then never will be."""
        with self._changed:
            self._shared.closing = True
            self._changed.notify_all()
        while any(thread.is_alive() for thread in self._threads):
            for process in list(self._shared.busy):
                process.end()
            for thread in self._threads:
                thread.join(0.1)
        with self._changed:
            idle, self._shared.idle = self._shared.idle, []
        for _, process in idle:
            process.end()
        self._room.leave()

    # The threads, one a process that may run.

    def _work(self) -> None:
        while True:
            with self._changed:
                while (running := self._next()) is None:
                    if self._shared.closing:
                        return
                    # A check may become overdue without any change.
                    self._changed.wait(1.0)
            started = time.perf_counter()
            done = self._run_together(running) if len(running.orders) > 1 else [self._run(running.order)]
            with self._changed:
                self._shared.end(running, time.perf_counter() - started)
                if not done:
                    self._shared.separately(running)
                self._shared.done += done
                self._changed.notify_all()
            self.wake()

    def _next(self) -> Running | None:
        """What is to be run now, if there is anything and a process for it; it is noted as running."""
        return None if self._shared.closing else self._shared.next(self._processes, self._monotonic())

    def _run(self, order: Order) -> Done:
        started = time.perf_counter()
        self._notes.begin(order.claim_id)
        answer: Finding | ValueTrace | Exception
        try:
            answer = self._asked(order)
        except Exception as error:
            answer = error
        else:
            self._notes.end(order.claim_id)
        with self._changed:
            self._shared.alone.discard(order.claim_id)
        if isinstance(answer, CheckFailed):
            _log.warning("check failed", claim=f"0x{order.claim_id.hex()}", error=str(answer))
        return Done(order, answer, time.perf_counter() - started)

    def _run_together(self, running: Running) -> list[Done]:
        """What came of each; nothing if checking them together came to no good end, whichever of them that is about."""
        started, orders = time.perf_counter(), running.orders
        for order in orders:
            self._notes.begin(order.claim_id)
        try:
            found = self._asked_together(orders)
        except Exception as error:
            _log.warning("claims are checked one by one", claims=len(orders), error=str(error))
            return []
        finally:
            for order in orders:
                self._notes.end(order.claim_id)
        seconds = (time.perf_counter() - started) / len(orders)
        return [Done(order, answer, seconds) for order, answer in zip(orders, found, strict=True)]

    def _asked_together(self, orders: Sequence[Order]) -> list[Finding | Exception]:
        with self._changed:
            tested = self._shared.held[orders[0].claim.model_id]
        process = self._process(tested)
        try:
            if not process.batches:
                self._prepare_batches(process, tested)
            request = {"do": "check each", "trace_roots": [order.claim.trace_root.hex() for order in orders]}
            blobs = [data for order in orders for data in (order.inputs, order.outputs)]
            answers = process.ask(request, blobs, min(TOGETHER_SECONDS, self.budget.seconds / 2))["found"]
        finally:
            self._leave(process)
            self._keep(tested.program.id, process)
        return [process.error(one) if "error" in one else _finding(one) for one in answers]

    def _prepare_batches(self, process: Process, tested: Loaded) -> None:
        """Have a worker compile and test batches; a program for which that fails has its claims checked one by one."""
        try:
            process.ask({"do": "batches"}, seconds=self.budget.load_seconds)
        except Exception:
            with self._changed:
                self._shared.held[tested.program.id] = replace(tested, most=1)
            raise
        process.batches = True

    def _asked(self, order: Order) -> Finding | ValueTrace:
        with self._changed:
            tested = self._shared.held[order.claim.model_id]
        process = self._process(tested)
        expected = tested.expected(order)
        seconds = self.budget.seconds if order.urgency is Urgency.AGAIN else self.budget.first_try(expected)
        started = time.perf_counter()
        answer: Finding | ValueTrace
        try:
            if order.trace:
                answer = self._traced(process, tested, order, seconds)
            else:
                request = {"do": "check", "trace_root": order.claim.trace_root.hex()}
                answer = _finding(process.ask(request, [order.inputs, order.outputs], seconds))
        finally:
            self._leave(process)
            self._keep(tested.program.id, process)
        took = time.perf_counter() - started
        with self._changed:
            held = self._shared.held[tested.program.id]
            self._shared.held[tested.program.id] = (
                replace(held, trace=took) if order.trace else replace(held, check=took)
            )
        return answer

    def _traced(self, process: Process, tested: Loaded, order: Order, seconds: float) -> ValueTrace:
        with self._changed:
            self._files += 1
            path = self._folder / f"{self._files}.trace"
        try:
            process.ask({"do": "trace", "path": str(path)}, [order.inputs], seconds)
            # Without a name it goes when the last one who reads it is gone.
            return map_trace(tested.program, path)
        finally:
            path.unlink(missing_ok=True)

    # Workers.

    def _start(self) -> Process:
        """A new worker, among the busy ones."""
        process = Process(self._machine, self.budget.memory, self.budget.trace_bytes, self._starts)
        with self._changed:
            self._shared.busy.add(process)
            if self._shared.closing:
                process.end()
        return process

    def _leave(self, process: Process) -> None:
        with self._changed:
            self._shared.busy.discard(process)

    def _load(self, process: Process, program: Program, folder: Path) -> dict[str, float]:
        request = {"do": "load", "folder": str(folder.absolute()), "model_id": program.id.hex()}
        return process.ask(request, seconds=self.budget.load_seconds)

    def _process(self, tested: Loaded) -> Process:
        """A worker that has the program loaded, an idle one if there is any; it is among the busy ones then."""
        with self._changed:
            for entry in self._shared.idle[::-1]:
                model_id, process = entry
                if model_id == tested.program.id:
                    self._shared.idle.remove(entry)
                    if process.alive:
                        self._shared.busy.add(process)
                        return process
                    process.end()
        process = self._start()
        try:
            self._load(process, tested.program, tested.folder)
        except Exception:
            self._leave(process)
            process.end()
            raise
        return process

    def _keep(self, model_id: ModelId, process: Process) -> None:
        """Let a worker wait for its program's next claim; the least recently used go if there are too many or they hold too much."""
        gone = [process]
        with self._changed:
            if process.alive and not self._shared.closing:
                self._shared.idle.append((model_id, process))
                gone = []
                sizes = [one.resident() for _, one in self._shared.idle]
                while len(self._shared.idle) > 1 and (len(sizes) > IDLE or sum(sizes) > self.budget.memory):
                    sizes.pop(0)
                    gone.append(self._shared.idle.pop(0)[1])
        for one in gone:
            one.end()


def _finding(answer: Mapping[str, Any]) -> Finding:
    return Finding(bool(answer["honest"]), str(answer["reason"]))
