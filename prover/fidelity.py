"""How close a program comes to the float function that it was lowered from, output by output, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from prover.lowering.formats import is_real
from rollup.form.encoding import TensorType
from rollup.form.interface import Named
from rollup.numbers import at_end

Array = np.ndarray


FAR = 0.01
"""Of an output's range: a difference beyond it is worth a warning."""


@dataclass(frozen=True)
class OutputFidelity:
    """How one output of the program compares with the float function's.

    ``real``: whether it holds real numbers, else integers or booleans; ``largest``, ``mean``: absolute differences; ``relative``: the
    largest over the float output's range; ``agreement``: share of equal arg-maxes along the last axis (of equal elements for integers
    and booleans; None where a row has nothing to choose from); ``cosine``: of the two outputs of a sample, the smallest over the samples
    (None for integers and for single numbers); ``kl``: mean over all rows of the last axis of KL(softmax(float) || softmax(integer)) in
    nats, what the difference means if the output is logits (None for integers and for rows of one element); ``saturated``: elements at
    an end of their format, of ``elements``; ``infinite``: elements that are infinite or NaN in float, where nothing is compared: a program
    gives a finite number there.
    """

    name: str
    real: bool
    largest: float
    mean: float
    relative: float
    agreement: float | None
    cosine: float | None
    kl: float | None
    saturated: int
    elements: int
    infinite: int = 0

    def __str__(self) -> str:
        if not self.real:
            return f"{self.name}: {100 * (self.agreement or 0):.2f} % of {self.elements:,} elements equal"
        parts = [
            f"largest difference {self.largest:.3g} ({100 * self.relative:.4f} % of the range)",
            f"mean {self.mean:.3g}",
            *([] if self.agreement is None else [f"agreement {100 * self.agreement:.2f} %"]),
            *([] if self.cosine is None else [f"cosine {self.cosine:.7f}"]),
            *([] if self.kl is None else [f"KL {divergence_text(self.kl)}"]),
            f"{self.saturated:,} of {self.elements:,} saturated",
            *([f"{self.infinite:,} infinite or NaN in float"] if self.infinite else []),
        ]
        return f"{self.name}: {', '.join(parts)}"

    @property
    def distances(self) -> list[str]:
        """How the output is not close to the float function's, a clause each; nothing if it is."""
        found = []
        if self.real and self.relative > FAR:
            found.append(f"is up to {100 * self.relative:.3g} % of its range away from the float function's")
        if self.agreement is not None and self.agreement < 1:
            what = "chooses otherwise in" if self.real else "differs in"
            found.append(f"{what} {100 * (1 - self.agreement):.2g} % of the {'rows' if self.real else 'elements'}")
        return [f"{self._subject} {clause}" for clause in found]

    @property
    def warnings(self) -> list[str]:
        """What whoever relies on the output should know of it, a clause each."""
        endless = f"{self._subject} is infinite or NaN in float in {self.infinite:,} of {self.elements:,} elements, and finite here"
        return [*self.distances, *([endless] if self.infinite else [])]

    @property
    def _subject(self) -> str:
        return "the output" if self.name == "output" else f"output {self.name}"


@dataclass(frozen=True)
class Fidelity:
    """Per output, over ``samples`` input tuples; ``saturated_inputs`` counts input elements beyond their format."""

    samples: int
    outputs: tuple[OutputFidelity, ...]
    saturated_inputs: int

    @property
    def agreement(self) -> float | None:
        """The smallest of the outputs'; None if none has anything to choose from."""
        return min((output.agreement for output in self.outputs if output.agreement is not None), default=None)

    @property
    def warnings(self) -> list[str]:
        """What the outputs warn of, and what was cut off the inputs, a clause each."""
        found = [warning for output in self.outputs for warning in output.warnings]
        if self.saturated_inputs:
            beyond = f"{self.saturated_inputs:,} elements of the inputs are beyond what the program takes"
            found.append(
                f"{beyond}: it computes with the ends of that range, and services refuse such inputs unless told to clamp"
            )
        return found

    @property
    def distances(self) -> list[str]:
        """Those of them that say how far an output is from the float function's: wider formats may help."""
        return [clause for output in self.outputs for clause in output.distances]

    @property
    def relative(self) -> float:
        """The largest of the outputs'."""
        return max(output.relative for output in self.outputs)

    @property
    def distance(self) -> float:
        """The largest difference of the real outputs over their ranges; 0 if there is none."""
        return max((output.relative for output in self.outputs if output.real), default=0.0)

    @property
    def cosine(self) -> float | None:
        """The smallest of the real outputs'; None if there is none."""
        return min((output.cosine for output in self.outputs if output.cosine is not None), default=None)

    @property
    def kl(self) -> float | None:
        """The largest of the outputs that can be read as logits; None if there is none."""
        return max((output.kl for output in self.outputs if output.kl is not None), default=None)

    def named(self, ports: Sequence[Named]) -> Fidelity:
        """The same with other names for the outputs."""
        outputs = (replace(output, name=port.name) for output, port in zip(self.outputs, ports, strict=True))
        return replace(self, outputs=tuple(outputs))

    def to_json(self) -> dict[str, Any]:
        """As the manifest keeps it: the fields by their names."""
        return {**asdict(self), "outputs": [asdict(output) for output in self.outputs]}

    def __str__(self) -> str:
        lines = [f"fidelity over {self.samples} samples ({self.saturated_inputs} input elements saturated)"]
        return "\n".join([*lines, *(f"  {output}" for output in self.outputs)])


@dataclass
class Comparison:
    """Sums over samples of how one output compares."""

    port: Named
    tensor: TensorType
    largest: float = 0.0
    difference: float = 0.0
    least: float = np.inf
    most: float = -np.inf
    equal: int = 0
    choices: int = 0
    cosine: float | None = None
    divergence: float = 0.0
    rows: int = 0
    saturated: int = 0
    elements: int = 0
    infinite: int = 0
    real: bool = field(default=True, init=False)

    def add(self, expected: Array, raw: Array) -> None:
        """One sample: the float function's output, and the program's integers of the same shape."""
        self.real = is_real(expected.dtype)
        self.elements += raw.size
        if not self.real:
            difference = np.abs(expected.astype(np.float64) - raw)
            self.equal += int(np.sum(expected == raw.astype(expected.dtype)))
            self.choices += raw.size
        else:
            wide, own = expected.astype(np.float64), raw * 2.0**-self.tensor.scale
            # An infinity is an end of a format, which is as far from it as any number.
            known = np.isfinite(wide)
            self.infinite += int(np.sum(~known))
            wide, own = np.where(known, wide, 0.0), np.where(known, own, 0.0)
            difference = np.abs(wide - own)
            reached = at_end(self.port, self.tensor, raw[known])
            self.saturated += reached.count if reached is not None else 0
            if known.any():
                self.least = min(self.least, float(wide[known].min()))
                self.most = max(self.most, float(wide[known].max()))
            if wide.size > 1:
                self.cosine = min(1.0 if self.cosine is None else self.cosine, cosine(wide, own))
            if has_choice(expected.shape):
                self.equal += int(np.sum(expected.argmax(-1) == raw.argmax(-1)))
                self.choices += raw.size // raw.shape[-1]
                for one, other in _rows(wide, own):
                    self.divergence += divergence(one, other)
                    self.rows += len(one)
        self.largest = max(self.largest, float(difference.max()))
        self.difference += float(difference.sum())

    def result(self) -> OutputFidelity:
        agreement = self.equal / self.choices if self.choices else None
        spread = self.most - self.least if self.real and self.most > self.least else 0.0
        return OutputFidelity(
            self.port.name,
            self.real,
            self.largest,
            self.difference / self.elements,
            (self.largest / spread if spread else self.largest) if self.real else 1 - (agreement or 0),
            agreement,
            self.cosine,
            self.divergence / self.rows if self.rows else None,
            self.saturated,
            self.elements,
            self.infinite,
        )


def divergence_text(kl: float) -> str:
    """A divergence for people: what rounding alone makes of it is none."""
    return "0" if abs(kl) < NO_DIVERGENCE else f"{kl:.2g}"


NO_DIVERGENCE = 1e-14

CHOICE_AXES = 3
"""An array of more axes is a picture or a volume: nobody chooses among the pixels of a row."""


def has_choice(shape: Sequence[int]) -> bool:
    """Whether the rows of a real array of this shape can be read as scores to choose from."""
    return 0 < len(shape) <= CHOICE_AXES and shape[-1] > 1


ROWS_ELEMENTS = 1 << 20
"""Elements that a divergence looks at together."""


def _rows(one: Array, other: Array) -> Iterator[tuple[Array, Array]]:
    """Both as matrices of rows along the last axis, some rows at a time."""
    width = one.shape[-1]
    step = max(1, ROWS_ELEMENTS // width)
    flat, same = one.reshape(-1, width), other.reshape(-1, width)
    for start in range(0, len(flat), step):
        yield flat[start : start + step], same[start : start + step]


def cosine(one: Array, other: Array) -> float:
    """Of two arrays as vectors; 1 for two zeros, 0 for one."""
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not norms:
        return float(np.array_equal(one, other))
    return float(np.clip(np.dot(one.reshape(-1), other.reshape(-1)) / norms, -1, 1))


def divergence(one: Array, other: Array) -> float:
    """Sum over the rows of KL(softmax(one) || softmax(other)), in nats."""
    p, q = _log_softmax(one), _log_softmax(other)
    return float(np.sum(np.exp(p) * (p - q)))


def _log_softmax(rows: Array) -> Array:
    shifted = rows - rows.max(-1, keepdims=True)
    result: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def fidelity_of(meta: Mapping[str, Any], which: str = "calibration") -> Fidelity | None:
    """What a manifest says of its ``calibration`` or ``held_out`` samples; None if it says nothing that can be read."""
    try:
        found = meta["fidelity"][which]
        outputs = tuple(OutputFidelity(**output) for output in found["outputs"])
        return Fidelity(int(found["samples"]), outputs, int(found["saturated_inputs"]))
    except (KeyError, TypeError, ValueError):
        return None


def merged(outputs: Sequence[Comparison], samples: int, saturated_inputs: int) -> Fidelity:
    return Fidelity(samples, tuple(output.result() for output in outputs), saturated_inputs)
