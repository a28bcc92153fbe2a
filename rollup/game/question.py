"""What is in dispute inside one element of a long reduction, and the answers to it (docs/contracts.md, *Inside an element*).

A question names a node of the tree over the parts of the element's reduction domain. Its answer has one partial result a
child; the children's questions hold them. The game sees partial results as integers and never asks what they are
results of. Numbers and bytes are those of DisputeGame.sol; the hash of a question is ``rollup.l1.account.signing.question_node``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollup.errors import EncodingError
from rollup.form.ops import ARGUMENTS, FAN_OUT, Monoid
from rollup.form.parts import children, levels
from rollup.types import Gindex, Root

_LOWEST, _HIGHEST, _POSITIONS = -(1 << 63), (1 << 63) - 1, 1 << 64
_VALUE_BYTES, _ARGUMENT_BYTES = 8, 16


@dataclass(frozen=True)
class Partial:
    """What some parts reduce to: a signed value of 64 bits; for an argument also its position in the whole domain."""

    value: int
    position: int = 0

    def __post_init__(self) -> None:
        if not _LOWEST <= self.value <= _HIGHEST or not 0 <= self.position < _POSITIONS:
            raise EncodingError(f"{self} is no partial result; give a value and a position of 64 bits each")


@dataclass(frozen=True)
class Question:
    """A node of the tree over an element's parts, and the partial result under dispute there.

    ``place``: the leaf. ``element``: its index within the leaf. ``parts``: how many the whole domain has. ``level``,
    ``index``: the node; level 0 is the whole domain, where nothing was answered before (``value`` and ``position`` are zero).
    """

    place: Gindex
    element: int
    monoid: Monoid
    parts: int
    level: int = 0
    index: int = 0
    value: int = 0
    position: int = 0

    @property
    def children(self) -> int:
        """Partial results in the answer."""
        return children(self.parts, self.level, self.index)

    @property
    def asks_for_parts(self) -> bool:
        """Whether every partial result of the answer stands for a single part, which can be proven."""
        return self.level + 1 == levels(self.parts)

    @property
    def disputed(self) -> Partial | None:
        """What the answer must combine to; None at level 0, where the answer says it first."""
        return Partial(self.value, self.position) if self.level else None

    def part(self, child: int) -> int:
        """Number of the part that a partial result stands for, if the question asks for parts."""
        assert self.asks_for_parts
        return FAN_OUT * self.index + child

    def covers(self) -> range:
        """Numbers of the parts below this node."""
        each = FAN_OUT ** (levels(self.parts) - self.level)
        return range(self.index * each, min((self.index + 1) * each, self.parts))


@dataclass(frozen=True)
class Asked:
    """A question about one trace of a claim: the content of the node on which a game inside an element stands."""

    trace_root: Root
    question: Question


def child_of(question: Question, results: Sequence[Partial], child: int) -> Question:
    """The question about partial result ``child`` of the answer to ``question``."""
    result = results[child]
    return Question(
        question.place,
        question.element,
        question.monoid,
        question.parts,
        question.level + 1,
        FAN_OUT * question.index + child,
        result.value,
        result.position,
    )


def combine(monoid: Monoid, results: Sequence[Partial]) -> Partial:
    """What partial results reduce to together: sums wrap modulo 2^64; of equal arguments the lowest position is first."""
    match monoid:
        case Monoid.SUM:
            total = sum(result.value for result in results)
            return Partial((total - _LOWEST) % _POSITIONS + _LOWEST)
        case Monoid.MAX:
            return Partial(max(result.value for result in results))
        case Monoid.MIN:
            return Partial(min(result.value for result in results))
        case Monoid.ARGMAX:
            return max(results, key=lambda result: (result.value, -result.position))
        case Monoid.ARGMIN:
            return min(results, key=lambda result: (result.value, result.position))
    raise EncodingError(f"the monoid {monoid.name.lower()} has no partial results; prove its elements whole")


def accumulator(monoid: Monoid, result: Partial) -> int:
    """What the op's code gets of the whole domain's result: the value, or for an argument its position as a signed number."""
    if monoid not in ARGUMENTS:
        return result.value
    return (result.position - _LOWEST) % _POSITIONS + _LOWEST


def result_bytes(monoid: Monoid) -> int:
    """Bytes of one encoded partial result."""
    return _ARGUMENT_BYTES if monoid in ARGUMENTS else _VALUE_BYTES


def encode_results(monoid: Monoid, results: Sequence[Partial]) -> bytes:
    """Big endian, one behind the other: the value, and for an argument its position."""
    argument = monoid in ARGUMENTS
    return b"".join(
        result.value.to_bytes(8, "big", signed=True) + (result.position.to_bytes(8, "big") if argument else b"")
        for result in results
    )


def decode_results(monoid: Monoid, data: bytes) -> tuple[Partial, ...]:
    """Inverse of ``encode_results``; raises EncodingError for a length that no number of results has."""
    size = result_bytes(monoid)
    if len(data) % size:
        raise EncodingError(f"{len(data)} bytes are no partial results of {size} bytes each")
    return tuple(
        Partial(int.from_bytes(data[at : at + 8], "big", signed=True), int.from_bytes(data[at + 8 : at + size], "big"))
        for at in range(0, len(data), size)
    )


def disputed_number(monoid: Monoid, result: Partial) -> int:
    """A partial result as a verdict shows it, of 256 bits: the value, or ``position << 64 | value``."""
    if monoid in ARGUMENTS:
        return result.position << 64 | result.value % _POSITIONS
    return result.value % (1 << 256)


def question_json(question: Question) -> dict[str, Any]:
    """What is in question inside an element, beside its leaf. 64-bit numbers are strings, as all that JSON's readers round."""
    disputed = question.disputed
    return {
        "element": question.element,
        "monoid": question.monoid.name.lower(),
        "parts": question.parts,
        "level": question.level,
        "index": question.index,
        "value": None if disputed is None else str(disputed.value),
        "position": None if disputed is None else str(disputed.position),
    }


def question_of_json(place: Gindex, said: Mapping[str, Any]) -> Question:
    """Inverse of ``question_json``."""
    return Question(
        place,
        said["element"],
        Monoid[str(said["monoid"]).upper()],
        said["parts"],
        said["level"],
        said["index"],
        int(said["value"] or 0),
        int(said["position"] or 0),
    )
