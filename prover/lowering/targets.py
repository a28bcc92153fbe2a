"""Formats by the fidelity that they must reach: the cheapest program whose integers come close enough to the floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from prover.fidelity import Fidelity, has_choice
from prover.lowering.formats import is_real
from prover.lowering.lower import lowered, measured
from prover.model import Model
from prover.trace import trace_bytes
from rollup.errors import LoweringError
from rollup.form.program import Program
from rollup.types import ModelId

CANDIDATES = (
    "w8a16/1000",
    "w16a16/1000",
    "w8a16/128",
    "w16a16/128",
    "w8a16",
    "w16a16",
    "w16a16/8",
    "w16a16/2",
    "w16a16/8/1000",
    "w16a16/2/64",
)
"""What is tried where nobody says what to try, the cheapest first.

The factor says which values are widened: the smaller, the more of them, and the more bytes of trace; among equal ones 8-bit weights
take less time. The second factor says which values get a scale per row.
"""

MULTIPLY_COSTS = {1: 1, 2: 2, 4: 4, 8: 16}
"""What a multiply-add costs on operands of so many bytes, relatively: products run on bytes, two limbs for 32 bits."""


@dataclass(frozen=True)
class Measure:
    """Something that a target can bound. ``least``: a target is the least that will do, not the most."""

    words: str
    value: Callable[[Fidelity], float | None]
    least: bool
    low: float
    high: float


MEASURES: Mapping[str, Measure] = {
    "top1": Measure(
        "share of equal answers (arg-max of the last axis) in percent",
        lambda f: None if f.agreement is None else 100 * f.agreement,
        True,
        0,
        100,
    ),
    "rel": Measure("largest difference over the output's range", lambda f: f.relative, False, 0, 1),
    "kl": Measure("mean KL divergence of the outputs as logits, in nats", lambda f: f.kl, False, 0, np.inf),
    "cos": Measure("smallest cosine between a sample's outputs", lambda f: f.cosine, True, -1, 1),
}
"""The measures by the name that a target calls them by; of several outputs the worst counts."""


@dataclass(frozen=True)
class Target:
    """A measure and the bound that it must keep: ``top1=99.9``, ``rel=1e-3``, ``kl=1e-4``, ``cos=0.9999``."""

    measure: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Raises LoweringError for what is no target."""
        name, _, number = text.partition("=")
        known = ", ".join(f"{key}= ({measure.words})" for key, measure in MEASURES.items())
        if name not in MEASURES:
            raise LoweringError(f"{text!r} is no target; write one of {known}")
        measure = MEASURES[name]
        try:
            bound = float(number)
        except ValueError:
            raise LoweringError(f"{text!r} names no number; write for example top1=99.9 or rel=1e-3") from None
        if not measure.low <= bound <= measure.high:
            raise LoweringError(
                f"{text!r} can't be reached or is met by anything; {name} lies between {measure.low:g} and {measure.high:g}"
            )
        return cls(name, bound)

    def check(self, fn: Callable[..., Any], sample: tuple[Any, ...]) -> None:
        """Raise LoweringError if the function has no output that the measure says something of."""
        every = jax.tree.leaves(jax.eval_shape(fn, *sample))
        outputs = [out for out in every if is_real(out.dtype)]
        if self.measure == "top1" and not any(not is_real(out.dtype) or has_choice(out.shape) for out in every):
            raise LoweringError("no output of the model chooses among anything, so that top1 says nothing; use rel")
        if self.measure == "kl" and not any(has_choice(out.shape) for out in outputs):
            raise LoweringError("no output of the model is a row of real numbers, so that kl says nothing; use top1")
        if self.measure == "cos" and not any(out.size > 1 for out in outputs):
            raise LoweringError(
                "no output of the model has several real numbers, so that cos says nothing; use top1 or rel"
            )

    def reached(self, fidelity: Fidelity) -> float:
        """The measure's value, of a function that was checked."""
        found = MEASURES[self.measure].value(fidelity)
        assert found is not None
        return found

    def met(self, reached: float) -> bool:
        return reached >= self.bound if MEASURES[self.measure].least else reached <= self.bound

    def better(self, one: float, other: float) -> bool:
        return one > other if MEASURES[self.measure].least else one < other

    def __str__(self) -> str:
        return f"{self.measure}={self.bound:g}"


@dataclass(frozen=True)
class ProgramCost:
    """What a program costs whoever runs and defends it: bytes of its trace, and multiply-adds weighted by their width."""

    trace_bytes: int
    work: int

    @classmethod
    def of(cls, program: Program) -> ProgramCost:
        return cls(trace_bytes(program), sum(_work(program)))


def _work(program: Program) -> Iterator[int]:
    for op in program.ops:
        wide = [MULTIPLY_COSTS[access.dtype.size] for access in op.accesses[: op.factors]]
        yield op.repeat * op.elements * op.domain_elements * int(np.prod(wide, dtype=object)) if wide else 0


@dataclass(frozen=True)
class FormatTrial:
    """Formats that were tried: what they cost, what they reached on the calibration samples, and whether it was enough."""

    formats: str
    trace_bytes: int
    work: int
    reached: float
    met: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.formats} reaches {self.reached:.6g} with {self.trace_bytes:,} bytes of trace"


@dataclass(frozen=True)
class Choice:
    """The model that was chosen, its fidelity on the calibration samples, and everything that was tried."""

    model: Model
    fidelity: Fidelity
    attempts: tuple[FormatTrial, ...]


def choose(
    fn: Callable[..., Any],
    calibration: Sequence[tuple[Any, ...]],
    target: Target,
    candidates: Sequence[str] = CANDIDATES,
) -> Choice:
    """The first of the candidates, which go from cheap to dear, that meets the target on the calibration samples.

    Each is lowered, measured and dropped before the next, so that memory holds one program. Nothing but the calibration samples
    decides. Raises LoweringError, naming the best that was reached, if none meets the target.
    """
    target.check(fn, calibration[0])
    attempts: list[FormatTrial] = []
    known: dict[ModelId, float] = {}
    for name in candidates:
        model = lowered(fn, *calibration[0], formats=name, calibration=calibration)
        cost, identity = ProgramCost.of(model.program), model.program.id
        if identity in known:
            # Nothing lies between the two factors: the same program again, which did not meet the target.
            attempts.append(FormatTrial(name, cost.trace_bytes, cost.work, known[identity], False))
            continue
        fidelity = measured(model, calibration)
        reached = known[identity] = target.reached(fidelity)
        attempts.append(FormatTrial(name, cost.trace_bytes, cost.work, reached, target.met(reached)))
        if attempts[-1].met:
            return Choice(model, fidelity, tuple(attempts))
        del model
    closest = attempts[0]
    for attempt in attempts:
        closest = attempt if target.better(attempt.reached, closest.reached) else closest
    raise LoweringError(
        f"no formats meet {target} on {len(calibration)} calibration samples; the closest, {closest}: "
        "ask for less, or give samples that are more like the model's inputs"
    )
