"""What one check may take, and which programs are too large for it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from challenger.checkers.checks import TooLarge
from rollup.form.program import Program
from rollup.service.fetch import STEPS_A_SECOND, cost_of
from rollup.settings import Parameters

WINDOW_SHARE = 1 / 8
CLOCK_SHARE = 1 / 4
"""A claim is checked, and its trace made, within these shares of the challenge period and of a game's clock: so there is
time to wait for another one, to fail once and to play.
"""

SHORTEST_SECONDS = 20.0
"""On development networks, whose periods are shorter than some hiccups of a machine."""

LOADING = 3.0
"""Loading and testing a program, and running it twice, in times of what one check may take."""

MARGIN = 2.0
"""How much longer a check may take than the one that was measured when the program was loaded: others run beside it."""

STALLED_SECONDS = 20.0
STALLED_TIMES = 20.0
"""How long a check runs depends on its program, hardly on its input. One that takes this long, and this many times what was
measured, has stalled; when it is run again it gets all the time there is.
"""

SPEEDUP = 2.0
"""How much faster than what was measured of a product of float32 any program may run: none is faster than such a product, but
something else may have been running beside it.
"""

COPIES = 2
"""A run holds its program's constants and values at least this often, in the form of kernels and in their own."""

POSITIONS = 1 << 22
VALUE_BYTES = 1 << 28
"""What a dispute may be about: the thread that plays reduces one element, part by part, and hashes one value. Each takes
a second or two.
"""

MEMORY_SHARE = 0.75

LONGEST_SECONDS = 600.0


@dataclass(frozen=True)
class Budget:
    """Of one check: ``seconds`` on the wall, ``memory`` and ``trace_bytes`` (of a file) in bytes."""

    seconds: float
    memory: int
    trace_bytes: int

    @classmethod
    def of(
        cls, parameters: Parameters, processes: int = 1, longest: float = LONGEST_SECONDS, memory: int | None = None
    ) -> Budget:
        """What a deployment leaves. ``longest``: seconds, whatever it leaves; ``memory``: bytes, by default a share of this
        machine's for each of the ``processes`` and one more.
        """
        left = min(parameters.window * WINDOW_SHARE, parameters.clock * CLOCK_SHARE)
        memory = memory or int(machine_memory() * MEMORY_SHARE / (processes + 1))
        return cls(min(longest, max(SHORTEST_SECONDS, left)), memory, memory // COPIES)

    @property
    def load_seconds(self) -> float:
        return LOADING * self.seconds

    def first_try(self, expected: float) -> float:
        """Seconds after which a check that took ``expected`` seconds before has stalled."""
        return min(self.seconds, max(STALLED_SECONDS, STALLED_TIMES * expected))

    def fits_anyway(self, program: Program) -> bool:
        """Whether a check is short enough on the slowest path that there is."""
        return cost_of(program).steps <= self.seconds * STEPS_A_SECOND

    def refuse(self, program: Program, steps_a_second: float) -> None:
        """Raise TooLarge for a program whose check can't fit, whatever runs it: by its steps and bytes alone.

        ``steps_a_second``: multiply-adds of a float32 product on this machine.
        """
        cost = cost_of(program)
        constants = sum(array.nbytes for array in program.constants.values())
        memory = COPIES * (cost.trace_bytes + constants)
        if memory > self.memory or cost.trace_bytes > self.trace_bytes:
            raise self._refusal(program, f"needs {memory:,} bytes of memory, {self.memory:,} are allowed")
        for op in program.ops:
            if op.domain_elements > POSITIONS or op.bytes > VALUE_BYTES:
                raise TooLarge(
                    f"model 0x{program.id.hex()} is too large to be watched: a dispute would be about an element of "
                    f"{op.domain_elements:,} positions in a value of {op.bytes:,} bytes, {POSITIONS:,} and {VALUE_BYTES:,} are "
                    "allowed; split the op"
                )
        seconds = cost.steps / (SPEEDUP * steps_a_second)
        if MARGIN * seconds > self.seconds:
            raise self._refusal(
                program,
                f"has {cost.steps:,} steps, more than {seconds:,.0f} s here, {self.seconds / MARGIN:g} s are allowed",
            )

    def refuse_measured(self, program: Program, seconds: float) -> None:
        """Raise TooLarge for a program whose check took this long."""
        if MARGIN * seconds > self.seconds:
            raise self._refusal(program, f"takes {seconds:.1f} s here, {self.seconds / MARGIN:g} s are allowed")

    def _refusal(self, program: Program, what: str) -> TooLarge:
        return TooLarge(
            f"model 0x{program.id.hex()} is too large to be watched here: one check of it {what}; the challenge period and a "
            "game's clock bound the time of a check, --check-time and --check-memory what it may take: watch it from a larger "
            "machine, or on a deployment with longer periods"
        )


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int(Path(place).read_text()))
    return min(found)
