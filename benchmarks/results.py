"""A results file: what was measured, raw; every table, plot and comparison is computed from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Spread, ratios
from rollup.errors import TouchstoneError
from rollup.files import write_file

FORMAT = 1

OUTPUT, COMMITMENT, WATCHER = "output", "output and commitment", "watcher"
"""What integers are computed for: an answer; a claim about it; the check of such a claim."""

JAX = "JAX float32"
LLAMA = "llama.cpp"
THREADS = (1, 2)
"""With which onnxruntime is measured."""


def onnx_name(threads: int) -> str:
    """onnxruntime with so many threads, as a contestant."""
    return f"onnxruntime, {threads} thread{'s' if threads > 1 else ''}"


class BadResults(TouchstoneError):
    """A file that is not one of results, or that lacks what is asked of it."""


@dataclass(frozen=True)
class Start:
    """One start of a process. ``role``: prover or watcher; ``caches``: cold or warm; bytes as in ``benchmarks.startup``."""

    role: str
    caches: str
    seconds: float
    before: int
    after: int
    peak: int
    constants: int


@dataclass(frozen=True)
class Timed:
    """A workload in one format. ``seconds``: of each contestant, a figure a round. ``missing``: runtimes that are not among them, and why.
    ``outputs``: SHA-256 of the first claim's outputs, and ``trace_root``, where there is a claim.
    """

    workload: str
    seconds: dict[str, list[float]]
    missing: dict[str, str]
    outputs: str = ""
    trace_root: str = ""

    def ratio(self, contestant: str, baseline: str) -> Spread | None:
        """How many times the baseline's time the contestant takes, by round; None if one of them did not run."""
        if contestant not in self.seconds or baseline not in self.seconds:
            return None
        return ratios(self.seconds[contestant], self.seconds[baseline])

    def milliseconds(self, contestant: str) -> Spread | None:
        times = self.seconds.get(contestant)
        return Spread.of([1e3 * second for second in times]) if times else None


@dataclass
class Measured:
    """All that is known of a subject in one format. ``load``: processes that wanted the machine before and after its workloads were
    measured, means of a minute; ``failed``: the sentence of the job that failed, with its name; ``commit``: of the code that was measured
    last.
    """

    subject: str
    title: str
    formats: str
    program: str = ""
    workloads: list[Timed] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    profile: dict[str, Any] | None = None
    load: list[float] = field(default_factory=list)
    failed: str = ""
    commit: str = ""

    @property
    def name(self) -> str:
        return f"{self.subject} {self.formats}"


@dataclass
class Results:
    """``machine``: ``benchmarks.machine.described``; ``rounds``: of each contestant; ``left_out``: names, and why."""

    machine: dict[str, Any]
    rounds: int
    quick: bool
    measured: list[Measured] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def timed(self) -> Iterator[tuple[Measured, Timed]]:
        for one in self.measured:
            for timed in one.workloads:
                yield one, timed

    def find(self, name: str) -> Measured | None:
        """What was measured of a subject in a format."""
        return next((one for one in self.measured if one.name == name), None)

    def save(self, file: Path) -> None:
        write_file(file, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> Results:
        """Raises BadResults for a file that can't be read as one."""
        try:
            read = json.loads(file.read_text())
            if read.pop("format") != FORMAT:
                raise BadResults(f"{file} has another format than this version writes; measure again with `make bench`")
            read["measured"] = [_measured(one) for one in read["measured"]]
            return cls(**read)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadResults(f"{file} is no results file ({error}); make one with `make bench`") from None


def fewer(results: Results) -> dict[str, int]:
    """The workloads that were measured in fewer rounds than others, and in how many."""
    counted = {timed.workload: min(map(len, timed.seconds.values())) for _, timed in results.timed() if timed.seconds}
    return {workload: rounds for workload, rounds in counted.items() if rounds < results.rounds}


def _measured(read: dict[str, Any]) -> Measured:
    read["workloads"] = [Timed(**one) for one in read["workloads"]]
    read["starts"] = [Start(**one) for one in read["starts"]]
    return Measured(**read)
