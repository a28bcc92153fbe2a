"""What a conviction found, in words: which element of which op, where it stands in the source, what was claimed and what is
right. It needs the program and what L1 said, no trace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from rollup.form.ops import ARGUMENTS, Monoid, Op
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1.events import Convicted
from rollup.machine.reference import unravel
from rollup.types import LEAF_BYTES

_SOURCE = re.compile(r"(?P<op>.*?) ?(?P<source>\S+:\d+(?: \(.*\))?)")

ELEMENTS = frozenset({Rule.STEP, Rule.PART, Rule.EPILOGUE})
"""Rules about one element of an op's output."""

SILENCE = "the claimant's clock ran out: nobody opened the node that the game stood on in the time that a game allows"


@dataclass(frozen=True)
class Spot:
    """Where in an execution something lies. ``op``: its name, or what else the trace has there; ``source``: file, line and
    function that it came from; ``scale``: real = integer * 2^-scale."""

    op: str
    source: str | None = None
    iteration: int | None = None
    coordinates: tuple[int, ...] = ()
    scale: int = 0

    def __str__(self) -> str:
        at = f", iteration {self.iteration}" if self.iteration is not None else ""
        return self.op + (f" {self.source}" if self.source else "") + at


@dataclass(frozen=True)
class Explanation:
    """A verdict in words. ``claimed`` and ``right``: integers, or roots as 0x hex, or of an argument's part value and position in words;
    None where the rule compares nothing. An input is right as the claim says it, an output as the claim's own trace does.
    """

    convicted: Convicted
    spot: Spot
    claimed: int | str | None
    right: int | str | None
    sentence: str


def scale_of(program: Program, descriptor: int) -> int:
    """Fixed-point scale of an op's output; 0 if the metadata, which nothing depends on, does not say."""
    scales: Any = program.meta.get("scales", [])
    found = scales[descriptor] if isinstance(scales, list) and descriptor < len(scales) else 0
    return found if isinstance(found, int) and abs(found) < 128 else 0


def spot(program: Program, found: Convicted) -> Spot:
    """Where the conviction's place lies in the program's execution."""
    header, index = program.header, found.trace_index
    if index < len(header.inputs):
        return Spot(f"input {index} ({program.interface.inputs[index].name})", scale=header.inputs[index].scale)
    if index >= header.values:
        return Spot(f"entry {index} of the trace, which no value uses")
    descriptor, t = program.locate(index)
    op = program.ops[descriptor]
    name = program.name(descriptor)
    split = _SOURCE.fullmatch(name)
    coordinates: tuple[int, ...] = ()
    if found.rule in ELEMENTS:
        leaf = found.place - (1 << program.depth) - (index << header.tensor_depth)
        coordinates = unravel(leaf * (LEAF_BYTES // op.dtype.size) + found.element, op.shape)
    return Spot(
        (split["op"] or "op") if split else name,
        split["source"] if split else None,
        t if op.repeat > 1 else None,
        coordinates,
        scale_of(program, descriptor),
    )


def number(value: int, scale: int) -> str:
    """An integer, and the real that it stands for."""
    return f"{value} ({value * 2.0**-scale:.6g})" if scale else str(value)


def explain(program: Program | None, found: Convicted) -> Explanation:
    """A conviction in words; without the program (nobody gave it here), as far as L1's numbers alone say."""
    if found.rule is Rule.TIMEOUT:
        return Explanation(found, Spot(""), None, None, SILENCE)
    at = Spot(f"value {found.trace_index}") if program is None else spot(program, found)
    if found.rule in (Rule.INPUT, Rule.OUTPUT):
        in_trace, in_claim = "0x" + found.claimed.hex(), "0x" + found.computed.hex()
        claimed, right = (in_trace, in_claim) if found.rule is Rule.INPUT else (in_claim, in_trace)
        return Explanation(found, at, claimed, right, _of_roots(program, found, at))
    said, is_right = (int.from_bytes(word, "big", signed=True) for word in (found.claimed, found.computed))
    if found.rule is Rule.PADDING:
        # Of an op's padding L1 only says that it is not zero.
        what = f"the byte {said & 0xFF}" if said else "a byte other than zero"
        sentence = f"{at} was committed with {what} where nothing but zeros belongs, behind the tensor's last element"
        return Explanation(found, at, said & 0xFF if said else None, 0, sentence)
    place = f"element {list(at.coordinates)}" if at.coordinates else "the only element"
    if program is None:
        place = f"element {found.element} of the disputed kilobyte"
    if found.rule is Rule.PART:
        return _of_part(program, found, at, place)
    if found.rule is Rule.EPILOGUE:
        sentence = (
            f"{at}: {place} is claimed as {number(said, at.scale)}; from what the claimant itself says the reduction gives, the "
            f"op's code makes {number(is_right, at.scale)}"
        )
        return Explanation(found, at, said, is_right, sentence)
    sentence = f"{at}: {place} is claimed as {number(said, at.scale)} and is {number(is_right, at.scale)}"
    return Explanation(found, at, said, is_right, sentence)


def _of_part(program: Program | None, found: Convicted, at: Spot, place: str) -> Explanation:
    """Which part of an element's reduction was claimed as what."""
    words = found.claimed, found.computed
    said, right = (int.from_bytes(word, "big", signed=True) for word in words)
    if program is None:
        sentence = f"{at}: part {found.part} of the reduction of {place} is claimed as {said} and is {right}"
        return Explanation(found, at, said, right, sentence)
    op = program.ops[program.locate(found.trace_index)[0]]
    what = f"the {NOUNS[op.monoid]} over {domain_of(op, found.part)} (part {found.part} of {partition(op).count}) of {place}"
    if op.monoid not in ARGUMENTS:
        return Explanation(found, at, said, right, f"{at}: {what} is claimed as {said} and is {right}")
    theirs, ours = (_argument(op, word) for word in words)
    return Explanation(found, at, theirs, ours, f"{at}: {what} is claimed as {theirs} and is {ours}")


NOUNS = {
    Monoid.SUM: "sum",
    Monoid.MAX: "largest term",
    Monoid.MIN: "smallest term",
    Monoid.ARGMAX: "largest term",
    Monoid.ARGMIN: "smallest term",
}


def domain_of(op: Op, part: int) -> str:
    """The coordinates that a part covers, along every axis of the op's reduction."""
    ranges = partition(op).ranges(part)
    return "[" + ", ".join(str(first) if last == first + 1 else f"{first}:{last}" for first, last in ranges) + "]"


def _argument(op: Op, word: bytes) -> str:
    both = int.from_bytes(word, "big")
    value = int.from_bytes(word[-8:], "big", signed=True)
    position = (both >> 64) % (1 << 64)
    at = list(unravel(position, op.domain)) if position < op.domain_elements else position
    return f"{value} at {at}"


def _of_roots(program: Program | None, found: Convicted, at: Spot) -> str:
    there, claim = found.claimed.hex()[:12], found.computed.hex()[:12]
    if found.rule is Rule.INPUT:
        return (
            f"the trace begins with another {at.op if program else 'input'} than the one that the claim is about: "
            f"its tensor's root is {there}..., that of the claim's is {claim}..."
        )
    which = "the output"
    if program is not None:
        numbers = [j for j, (value, _) in enumerate(program.header.outputs) if value == found.trace_index]
        which = f"output {numbers[0]} ({program.interface.outputs[numbers[0]].name})" if numbers else which
    return (
        f"{which} of the claim is not what its own trace computed: {at} has the tensor root {there}... there, "
        f"the claimed output has {claim}..."
    )
