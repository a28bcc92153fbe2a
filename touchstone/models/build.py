"""Lower somebody's float model to a program, and say how good it is: ``touchstone model build``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prover import Model
from prover.fidelity import FAR, Fidelity
from prover.lowering.lower import WIDER, lowered, measured
from prover.lowering.passes.inputs import coarse
from prover.lowering.precision import Compared
from prover.lowering.targets import Choice, Target, choose
from prover.model import INSIDE
from prover.saturation import Saturated
from prover.trace import trace_bytes
from rollup.errors import LoweringError
from touchstone.models.compare import first_lost
from touchstone.models.fidelity_table import fidelity_table
from touchstone.models.origins import Origin, opened
from touchstone.models.samples import EVERY, Sample, read_samples, split

DEFAULT, LANGUAGE_DEFAULT = "w16a16", "w15a16"
"""Formats where nobody asks for others; those of a language model are faster, and as good in the table of real models."""

SHOWN = 8
"""Saturated ops that are printed; the manifest has all."""


@dataclass(frozen=True)
class Built:
    """A fresh model and what was measured on the way; the model's metadata hold the same as JSON.

    ``lost``: the first value in which precision is lost, looked for if an output warns; ``coarse``: what is to be known of inputs.
    """

    model: Model
    calibration: Fidelity
    held_out: Fidelity | None
    split: str
    saturated: tuple[Saturated, ...]
    looked_at: int
    target: Target | None
    choice: Choice | None
    lost: Compared | None = None
    coarse: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What the manifest keeps under ``fidelity``."""
        target = self.target and {
            "measure": self.target.measure,
            "bound": self.target.bound,
            "attempts": [attempt.to_json() for attempt in (self.choice.attempts if self.choice else ())],
        }
        return {
            "calibration": self.calibration.to_json(),
            "held_out": self.held_out and self.held_out.to_json(),
            "split": self.split,
            "saturated": {"samples": self.looked_at, "ops": [one.to_json() for one in self.saturated]},
            "target": target,
        }


def build(
    source: str,
    samples: str | None,
    formats: str | None = None,
    held_out: str | None = None,
    target: str | None = None,
    length: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    embedding: bool = False,
) -> Built:
    """Lower ``module:function``, an ONNX or a GGUF file, and measure the program.

    ``samples``: an npz file, ``module:function``, or a text file for a language model; they are example inputs, choose the number
    formats, and are what a target is met on. ``held_out``: more of the same that chooses nothing; without it every fifth sample is
    held out. ``target``: see ``prover.lowering.targets``; without ``formats`` the cheapest that meets it are taken. ``length``: tokens of a
    language model's pass; ``fixed``: inputs of an ONNX file that become constants; ``embedding``: of a GGUF file the program that embeds
    texts. Raises LoweringError.
    """
    wanted = Target.parse(target) if target is not None else None
    origin = opened(source, fixed, embedding)
    if samples is None:
        raise LoweringError(
            f"{source} can't be lowered without samples, which choose its number formats; {origin.wanted}"
        )
    rows = read_samples(samples, origin, length)
    if held_out is not None:
        calibration, other = rows, read_samples(held_out, origin, length)
        how = f"{held_out}"
    else:
        calibration, other = split(rows)
        how = f"every {EVERY}th sample of {samples}" if other else f"none: {samples} gives fewer than {EVERY} samples"
    choice = None
    if wanted is not None:
        choice = choose(origin.fn, calibration, wanted, *([(formats,)] if formats else []))
        model, fidelity = named(choice.model, origin), choice.fidelity
    else:
        usual = DEFAULT if origin.language is None else LANGUAGE_DEFAULT
        model = lowered(origin.fn, *calibration[0], formats=formats or usual, calibration=calibration)
        model = named(model, origin)
        fidelity = measured(model, calibration)
    measuring = model.measuring()
    built = Built(
        model,
        fidelity.named(model.program.interface.outputs),
        measuring.fidelity(other) if other else None,
        how,
        measuring.saturation(calibration),
        min(INSIDE, len(calibration)),
        wanted,
        choice,
        coarse=tuple(coarse(model.program, calibration)),
    )
    lost = _lost(measuring, calibration, built.calibration, built.held_out)
    return replace(built, model=model.noted(fidelity=built.to_json()), lost=lost)


def _lost(measuring: Model, calibration: Sequence[Sample], *reports: Fidelity | None) -> Compared | None:
    """The first value in which precision is lost, if an output is far from the float function's."""
    far = any(fidelity is not None and fidelity.distance > FAR for fidelity in reports)
    return first_lost(measuring.compared(calibration)) if far else None


def named(model: Model, origin: Origin) -> Model:
    """The model with the names that its file gives it, its inputs and its outputs."""
    inputs = None if origin.inputs is None else [port.name for port in origin.inputs]
    return model.named(inputs, origin.outputs).noted(name=origin.name)


def summary(built: Built) -> list[str]:
    """What a person wants to know of a fresh model, in lines."""
    program = built.model.program
    trace = trace_bytes(program)
    constants = sum(array.nbytes for array in program.constants.values())
    lines = [
        f"model     0x{program.id.hex()}",
        f"ops       {sum(op.repeat for op in program.ops):,} ({len(program.ops):,} descriptors)",
        f"trace     {trace:,} bytes in {program.header.values:,} values",
        f"constants {constants:,} bytes in {len(program.constants):,} tensors",
        f"formats   {_formats(built)}",
        *fidelity_table({"calibration": built.calibration, "held out": built.held_out}),
    ]
    lines.append(f"          held out: {built.split}")
    lines += _warnings(built)
    if built.lost is not None:
        lines.append(f"          precision is lost first in {built.lost}; touchstone model compare says more")
    lines += _saturated(built)
    return lines


def _warnings(built: Built) -> list[str]:
    """What whoever relies on the model should know of it; with the remedy, once, where no target has chosen the formats."""
    lines = [
        f"warning   {warning}, {which}"
        for which, fidelity in (("calibration", built.calibration), ("held out", built.held_out))
        if fidelity is not None
        for warning in fidelity.warnings
    ]
    if built.calibration.distances and built.target is None:
        lines.append(f"          {WIDER}, or a target")
    return [*lines, *(f"warning   {note}" for note in built.coarse)]


def _formats(built: Built) -> str:
    name = built.model.program.meta["formats"]
    if built.choice is None or built.target is None:
        return f"{name}"
    others = "; ".join(str(attempt) for attempt in built.choice.attempts if attempt.formats != name)
    return f"{name}, the cheapest that meets {built.target}" + (f" ({others})" if others else "")


def _saturated(built: Built) -> list[str]:
    over = f"over {built.looked_at} samples"
    if not built.saturated:
        return [f"saturated nothing inside, {over}"]
    lines = [f"saturated in {len(built.saturated)} of {len(built.model.program.ops)} ops, {over}"]
    lines += [f"          {one}" for one in built.saturated[:SHOWN]]
    if len(built.saturated) > SHOWN:
        lines.append(f"          and {len(built.saturated) - SHOWN} more, in the manifest")
    return lines
