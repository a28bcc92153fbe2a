"""What is measured of each real model, in the order of the table."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax

from challenger.defender import Behaviour
from prover import Model, load
from prover.trace import trace_bytes
from tests.lockstep.evm import Prover
from tests.models import lowering, magika, minilm, rapidocr, silero, smollm2, terrain
from tests.models.case import Case
from tests.models.disputes import Conviction, disputes
from tests.models.lockstep import compare
from tests.models.rows import Row, at_most, every, figure, plain
from tests.models.speed import speed

CASES: Sequence[Case] = (minilm.CASE, magika.CASE, silero.CASE, *rapidocr.CASES)

LIES = 50
STEP_GAS = 600_000
DISPUTE_GAS = 1_500_000
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Extent:
    """How much of it all is done. ``programs``: folder of lowered programs."""

    programs: Path
    quick: bool = False

    @property
    def lies(self) -> int:
        return 4 if self.quick else LIES

    @property
    def ops(self) -> int:
        """Values that lockstep looks at, of each model."""
        return 40 if self.quick else 400


def _forget() -> None:
    """Let go of what was compiled and prepared for a model that is done with."""
    jax.clear_caches()  # type: ignore[no-untyped-call]
    gc.collect()


def _parts() -> dict[str, Callable[[Extent], Iterator[Row]]]:
    """By the name that stands in the table, in its order."""
    return {
        smollm2.NAME: _wide,
        smollm2.NARROW: _narrow,
        smollm2.BRIEF: _brief,
        **{case.name: partial(_other, case) for case in CASES},
        terrain.NAME: _large,
    }


def names() -> list[str]:
    return list(_parts())


def run(extent: Extent, only: str | None, say: Callable[[str], None]) -> Iterator[Row]:
    """The rows of the model named ``only``, or of all whose name contains it."""
    parts = _parts()
    for name, part in parts.items():
        if only is None or name == only or (only not in parts and only.lower() in name.lower()):
            say(name)
            yield from part(extent)
            _forget()


def _narrow(extent: Extent) -> Iterator[Row]:
    """With weights of 8 bits."""
    lowering.lowered("smollm2-w8a16", extent.programs)
    yield from smollm2.narrow_fidelity(lowering.program("smollm2-w8a16", extent.programs), extent.quick)


def _brief(extent: Extent) -> Iterator[Row]:
    """The program of 16 positions, of which many traces fit the memory."""
    lowering.lowered("smollm2-short", extent.programs)
    model = lowering.program("smollm2-short", extent.programs)
    inputs = model.quantize(*smollm2.samples(smollm2.SHORT, 1)[0])
    yield from lockstep(smollm2.BRIEF, model, inputs, extent)
    yield from convictions(smollm2.BRIEF, model, inputs, extent)


def _wide(extent: Extent) -> Iterator[Row]:
    """All about the program of 128 positions."""
    name = smollm2.NAME
    made = lowering.lowered("smollm2-w16a16", extent.programs)
    weights = FLOAT_BYTES * smollm2.parameters()
    yield at_most(name, "lowering, s", made.seconds, 180)
    yield at_most(
        name, "lowering, peak memory over the float32 weights", made.peak / weights, 3, lambda value: f"{value:.2f}"
    )
    started = time.monotonic()
    model = lowering.program("smollm2-w16a16", extent.programs)
    yield at_most(name, "loading the saved program, s", time.monotonic() - started, 10, lambda value: f"{value:.1f}")
    yield from _compilation(name, model)
    yield from speed(model, extent.quick)
    yield from smollm2.size(model)
    yield from smollm2.fidelity(model, extent.quick)
    yield from smollm2.greedy(model, extent.quick)
    inputs = model.quantize(*smollm2.samples()[0])
    logits = smollm2.logits_value(model)
    (whole,) = disputes(model, inputs, 1, behaviour=Behaviour.WITHHOLDS, values=[logits])
    yield every(name, "a whole interactive dispute at 128 tokens: convicted", int(whole.right), 1)
    yield at_most(name, f"its gas, {whole.moves} moves of both sides", whole.gas, DISPUTE_GAS)


def _compilation(name: str, model: Model) -> Iterator[Row]:
    """Compiling one pass over 128 positions: the first run less a later one; and the self-test before it."""
    inputs = model.quantize(*smollm2.samples()[0])
    started = time.monotonic()
    executor = model.executor
    tested = time.monotonic()
    executor.outputs(inputs)
    first = time.monotonic()
    executor.outputs(inputs)
    spent = first - tested - (time.monotonic() - first)
    yield at_most(name, "compile time of one pass, s", spent, 60, lambda value: f"{value:.1f}")
    yield figure(name, "preparing and self-testing its kernels, s", tested - started, lambda value: f"{value:.1f}")


def _other(case: Case, extent: Extent) -> Iterator[Row]:
    """A model that is lowered here, unless an earlier run saved it."""
    folder = extent.programs / case.name.replace(" ", "-")
    if not folder.exists():
        case.lowered().save(folder)
    model = load(folder, case.fn())
    yield from case.answers(model)
    yield figure(case.name, "traced values", model.program.header.values)
    yield figure(case.name, "trace, KB", trace_bytes(model.program) / 1e3, lambda value: f"{value:,.0f}")
    inputs = model.quantize(*case.samples()[0])
    yield from lockstep(case.name, model, inputs, extent)
    yield from convictions(case.name, model, inputs, extent)


def _large(extent: Extent) -> Iterator[Row]:
    """A network whose trace is too large for many disputes: its answers and its size."""
    folder = extent.programs / terrain.NAME
    if not folder.exists():
        terrain.lowered().save(folder)
    model = Model(load(folder).program, terrain.network().fn, compact=True)
    yield from terrain.answers(model, extent.quick)
    yield figure(terrain.NAME, "traced values", model.program.header.values)
    yield figure(terrain.NAME, "trace, KB", trace_bytes(model.program) / 1e3, lambda value: f"{value:,.0f}")


def lockstep(name: str, model: Model, inputs: Sequence[object], extent: Extent) -> Iterator[Row]:
    found = compare(model, inputs, Prover(), extent.ops)  # type: ignore[arg-type]
    measure = f"executor = reference = EVM, extremes included ({found.evm:,} elements on the EVM)"
    bad = 0 if found.differs is None else 1
    if found.differs:
        measure += f": {found.differs}"
    yield every(name, measure, found.reference, found.reference + bad)


def convictions(name: str, model: Model, inputs: Sequence[object], extent: Extent) -> Iterator[Row]:
    found = disputes(model, inputs, extent.lies)  # type: ignore[arg-type]
    missed = [lie for lie in found if not lie.right]
    measure = "lies about one element, convicted on chain" + "".join(f"; not: {_about(lie)}" for lie in missed)
    yield every(name, measure, len(found) - len(missed), len(found))
    dearest = max(found, key=lambda lie: lie.step)
    yield at_most(name, f"dearest proof, gas ({dearest.op.split()[0]})", dearest.step, STEP_GAS, plain)


def _about(lie: Conviction) -> str:
    return f"value {lie.value} ({lie.op}): {lie.rule or 'no verdict'}"
