"""Machines that do to their process what some input may make a library do. A worker is told their names."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from challenger.checkers.re_execute import Reference
from rollup.form.program import Program

HOSTILE = f"{__name__}:Hostile"
STALLING = f"{__name__}:Stalling"
BATCHING = f"{__name__}:Batching"


class Trap(IntEnum):
    """The first element of an input, and what happens to whoever runs it."""

    CRASH = 30_001
    STALL = 30_002
    FILL = 30_003
    CONFUSE = 30_004
    CHATTER = 30_005


def forever() -> None:
    threading.Event().wait()


@dataclass(frozen=True)
class Hostile:
    """The reference, but for inputs that begin with a trap."""

    program: Program

    def values(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        match int(inputs[0].reshape(-1)[0]):
            case Trap.CRASH:
                os.kill(os.getpid(), signal.SIGKILL)
            case Trap.STALL:
                forever()
            case Trap.FILL:
                filled = []
                while True:
                    filled.append(np.ones(1 << 22))
            case Trap.CONFUSE:
                raise RuntimeError("some library does not like these numbers")
            case Trap.CHATTER:
                print("\x00\x00\x00\x02{}", flush=True)
        return Reference(self.program).values(inputs)

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = self.values(inputs)
        return [values[value] for value, _ in self.program.header.outputs]


@dataclass(frozen=True)
class Batching(Hostile):
    """It takes several claims at once, and a trap of one is a trap for all."""

    most_claims: int = 8

    def test_batches(self) -> int:
        return self.most_claims

    def batches(self, count: int) -> list[tuple[int, int]]:
        return [(start, min(count, start + self.most_claims)) for start in range(0, count, self.most_claims)]

    def stream_batch(self, inputs: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        claims = [self.values([array[claim] for array in inputs]) for claim in range(len(inputs[0]))]
        yield from (np.stack(column) for column in zip(*claims, strict=True))


@dataclass(frozen=True)
class Stalling:
    """Never comes to an end with anything."""

    program: Program

    def values(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        forever()
        raise AssertionError

    outputs = values
