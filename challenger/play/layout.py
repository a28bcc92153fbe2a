"""Which entries of a program's trace mean what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.game.position import leaf_gindex
from rollup.types import Gindex, Root


@dataclass(frozen=True)
class TraceLayout:
    """Which entries of a trace tree mean what.

    ``outputs``: the trace value of every output in header order, with the root that the claim gives for it.
    ``sizes``: (elements, bytes per element) by trace value. ``parts``: in how many parts an element of a trace value is
    proven; 1 if as a whole.
    """

    trace_depth: int
    tensor_depth: int
    inputs: int
    values: int
    outputs: Sequence[tuple[int, Root]]
    sizes: Mapping[int, tuple[int, int]]
    parts: Callable[[int], int] = lambda value: 1

    @classmethod
    def of(cls, program: Program, output_roots: Sequence[Root]) -> TraceLayout:
        """``output_roots``: the claim's tensor roots in header order, extended to the tensor depth."""
        header = program.header
        outputs = [(value, root) for (value, _), root in zip(header.outputs, output_roots, strict=True)]
        depths = header.trace_depth, header.tensor_depth
        return cls(*depths, len(header.inputs), header.values, outputs, _Sizes(program), partial(_parts, program))

    @property
    def depth(self) -> int:
        return self.trace_depth + self.tensor_depth

    def entry(self, value: int) -> Gindex:
        """Position of a trace value's entry."""
        return leaf_gindex(value, self.trace_depth)


@dataclass(frozen=True)
class _Sizes(Mapping[int, tuple[int, int]]):
    """Those of a program's values, looked up when they are asked for: a trace may have millions."""

    program: Program

    def __getitem__(self, value: int) -> tuple[int, int]:
        if value >= len(self):
            raise KeyError(value)
        return self.program.type_of(value)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return self.program.header.values


def _parts(program: Program, value: int) -> int:
    header = program.header
    if not len(header.inputs) <= value < header.values:
        return 1
    return partition(program.ops[program.locate(value)[0]]).count
