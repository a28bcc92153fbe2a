"""One model's executions: one at a time, and what waits for the same model together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition

import numpy as np

from prover.claims import Execution
from rollup.service.limits import busy

Inputs = Sequence[np.ndarray]
Run = Callable[[Sequence[Inputs], bool], list[Execution]]
"""(the inputs of several claims, whether their traces are hashed) -> their executions, in that order."""


@dataclass(eq=False)
class _Waiting:
    """One who waits, and then what came of it."""

    inputs: Inputs
    traced: bool
    found: list[Execution | Exception] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.found)


class Turns:
    """``run`` executes; ``most``: claims that it may be given at once; ``limit``: how many may run or wait, others are refused.

    Whoever comes while nothing runs is run at once, alone. Those who come meanwhile are run together as soon as that has ended, by one of
    them. So nobody waits for company.
    """

    def __init__(self, name: str, run: Run, limit: int, told: Callable[[int], object] = lambda waiting: None) -> None:
        self.most = 1
        self._name, self._run, self._limit, self._told = name, run, limit, told
        self._changed = Condition()
        self._queue: list[_Waiting] = []
        self._running = 0

    def take(self, inputs: Inputs, traced: bool, urgent: bool = False) -> Execution:
        """Wait for one's turn; gives the execution, or raises what it raised. ``inputs`` fit the program.

        ``urgent``: in front of all others, and never refused. Raises Problem 503 at once if too many wait.
        """
        mine = _Waiting(inputs, traced)
        with self._changed:
            waiting = len(self._queue) + self._running
            if not urgent and waiting >= self._limit:
                raise busy(f"{waiting} executions of {self._name} wait")
            self._queue.insert(0 if urgent else len(self._queue), mine)
            self._told(waiting + 1)
        while not mine.done:
            with self._changed:
                self._changed.wait_for(lambda: mine.done or not self._running)
                together = [] if mine.done else self._next()
            if together:
                self._serve(together)
        (found,) = mine.found
        if isinstance(found, Exception):
            raise found
        return found

    def _next(self) -> list[_Waiting]:
        """Those whose turn it is, in the order in which they wait; they run from now on."""
        first = self._queue[0]
        count = 1
        while count < min(self.most, len(self._queue)) and self._queue[count].traced == first.traced:
            count += 1
        together, self._queue = self._queue[:count], self._queue[count:]
        self._running = count
        return together

    def _serve(self, together: list[_Waiting]) -> None:
        # Whatever ends this thread, nobody waits for ever.
        found: list[Execution | Exception] = [RuntimeError("the execution was ended")] * len(together)
        try:
            found = self._executed(together)
        finally:
            with self._changed:
                for one, what in zip(together, found, strict=True):
                    one.found.append(what)
                self._running = 0
                self._told(len(self._queue))
                self._changed.notify_all()

    def _executed(self, together: list[_Waiting]) -> list[Execution | Exception]:
        try:
            return list(self._run([one.inputs for one in together], together[0].traced))
        except Exception as error:
            if len(together) == 1:
                return [error]
        # One of them spoils it for the others: each gets what is its own.
        return [found for one in together for found in self._executed([one])]
