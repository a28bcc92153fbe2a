"""Two results files of the same workloads, before and after a change: what became faster or slower, and whether that is tolerable.

What counts is the ratio to JAX float32 of the same rounds, not the time: the machine may have been busier once. A ratio is worse if its
median exceeds the old one by more than the tolerance, and the quartiles of both don't overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import Spread
from benchmarks.report.tables import table
from benchmarks.results import COMMITMENT, JAX, OUTPUT, WATCHER, Results

TOLERANCE = 1.1


@dataclass(frozen=True)
class SpeedChange:
    """One workload's ratio to JAX float32, before and after."""

    workload: str
    formats: str
    phase: str
    before: Spread
    after: Spread

    @property
    def faster(self) -> float:
        """How many times as fast it became; below 1 if it became slower."""
        return self.before.median / self.after.median

    def worse(self, tolerance: float) -> bool:
        return self.faster * tolerance < 1 and self.after.low > self.before.high


@dataclass(frozen=True)
class SpeedChanges:
    """``compared``: what both files have; ``gone``: what only the first has; ``changed``: claims of the same program that have other
    outputs or another trace root, which no change of speed may bring about.
    """

    compared: list[SpeedChange]
    gone: list[str]
    changed: list[str]

    def good(self, tolerance: float) -> bool:
        return not (self.gone or self.changed or any(one.worse(tolerance) for one in self.compared))

    def text(self, tolerance: float) -> str:
        """The table, and a line for everything that is wrong."""
        rows = [
            (
                *(one.workload, one.formats, one.phase, one.before, one.after),
                f"{one.faster:.2f}" + (" SLOWER" if one.worse(tolerance) else ""),
            )
            for one in self.compared
        ]
        head = ("workload", "formats", "", f"before, over {JAX}", "after", "times as fast")
        lines = [f"GONE: {name} was measured before and is not now\n" for name in self.gone]
        lines += [f"CHANGED: {name} is the same program and gives other integers\n" for name in self.changed]
        return table(head, rows) + "".join(lines)


def compare(before: Results, after: Results) -> SpeedChanges:
    """By workload and formats."""
    now = {(one.formats, timed.workload): (one, timed) for one, timed in after.timed()}
    compared, gone, changed = [], [], []
    for one, old in before.timed():
        name = f"{old.workload}, {one.formats}"
        if (one.formats, old.workload) not in now:
            gone.append(name)
            continue
        other, new = now[one.formats, old.workload]
        if one.program == other.program and (old.outputs, old.trace_root) != (new.outputs, new.trace_root):
            changed.append(name)
        for phase in (OUTPUT, COMMITMENT, WATCHER):
            first, second = old.ratio(phase, JAX), new.ratio(phase, JAX)
            if first is not None and second is not None:
                compared.append(SpeedChange(old.workload, one.formats, phase, first, second))
    return SpeedChanges(compared, gone, changed)
