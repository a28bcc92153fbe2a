"""The dataflow graph of a program, folded until it can be read: repeated blocks are drawn once, long stretches as one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rollup.form.affine import producers, reads
from rollup.form.ops import Carried, Constant
from rollup.form.program import Program
from touchstone.models.anatomy import Anatomy, Part, dims
from touchstone.models.describe import brief
from touchstone.models.drawing.repeats import Repeat, repeats

FOLD = 60
"""Programs of more ops than this have their repeated blocks drawn once."""

MOST = 120
"""Nodes that a picture has at most; beyond it, stretches of ops become one node each."""

Place = int
"""A node's number: -1 - v for input v, a descriptor's number for an op (of a group: its first)."""


@dataclass(frozen=True)
class Box:
    """``kind``: input, product, reduction, map or group; ``lines``: what stands in it; ``output``: names of what it gives, if any."""

    place: Place
    kind: str
    lines: tuple[str, ...]
    tooltip: str
    output: str = ""


@dataclass(frozen=True)
class Edge:
    """From one node to another; ``back``: into the next repetition of a block."""

    source: Place
    target: Place
    back: bool = False


@dataclass(frozen=True)
class Frame:
    """Nodes that stand for several repetitions."""

    label: str
    members: tuple[Place, ...]


@dataclass(frozen=True)
class Drawing:
    """Nodes in trace order, edges, and blocks of nodes that follow each other."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class _Run:
    """Descriptors ``start`` to ``stop`` that are drawn as repetitions of the first ``period`` of them."""

    start: int
    period: int
    stop: int
    label: str

    def first(self, j: int) -> tuple[int, int]:
        """(the descriptor that stands for j, its repetition)."""
        repetition, place = divmod(j - self.start, self.period)
        return self.start + place, repetition


def graph(found: Anatomy) -> Drawing:
    """The graph of a well-formed program."""
    program = found.program
    runs = [
        _Run(s.start, s.stop - s.start, s.stop, f"{s.repeat:,} iterations") for s in program.segments if s.repeat > 1
    ]
    if len(program.ops) > FOLD:
        inside = {j for run in runs for j in range(run.start, run.stop)}
        keys = [f"{j}" if j in inside else _key(part) for j, part in enumerate(found.parts)]
        runs += [_folded(found, repeat) for repeat in repeats(keys)]
    runs.sort(key=lambda run: run.start)
    owner = {j: run for run in runs for j in range(run.start, run.stop)}

    def shown(j: int) -> tuple[Place, int]:
        return owner[j].first(j) if j in owner else (j, 0)

    kept = [j for j in range(len(program.ops)) if shown(j)[0] == j]
    block_of = {j: owner[j].start for j in kept if j in owner}
    groups = _grouped(found, kept, block_of)
    edges = _edges(program, shown, owner, groups)
    outputs = _outputs(program, lambda j: groups[shown(j)[0]])
    nodes = [*_inputs(program, outputs), *_nodes(found, kept, groups, outputs)]
    blocks = [
        Frame(run.label, tuple(dict.fromkeys(groups[j] for j in range(run.start, run.start + run.period))))
        for run in runs
    ]
    return Drawing(tuple(nodes), tuple(edges), tuple(blocks))


def _key(part: Part) -> str:
    return f"{part.made_by} {part.shape} {part.reduction} {part.domain}"


def _folded(found: Anatomy, repeat: Repeat) -> _Run:
    stop = repeat.start + repeat.period * repeat.count
    trace = sum(part.trace_bytes for part in found.parts[repeat.start : stop])
    return _Run(
        repeat.start,
        repeat.period,
        stop,
        f"{repeat.count} blocks alike: ops {repeat.start} to {stop - 1}, {trace:,} bytes of trace; drawn once",
    )


def _grouped(found: Anatomy, kept: Sequence[int], block_of: dict[int, int]) -> dict[int, Place]:
    """Which node stands for a drawn op: itself, or the first of a stretch of ops of the same function or the same length."""
    if len(kept) <= MOST:
        return {j: j for j in kept}
    by_function = _stretches(kept, lambda at: (_function(found.parts[kept[at]].made_by), block_of.get(kept[at])))
    if len(set(by_function.values())) <= MOST:
        return by_function
    size = -(-len(kept) // MOST)
    return _stretches(kept, lambda at: (at // size, block_of.get(kept[at])))


def _stretches(kept: Sequence[int], key: Callable[[int], object]) -> dict[int, Place]:
    found: dict[int, Place] = {}
    for at, j in enumerate(kept):
        same = at > 0 and key(at) == key(at - 1)
        found[j] = found[kept[at - 1]] if same else j
    return found


def _function(made_by: str) -> str:
    """The function of a source line ``primitive file:line (function)``; the file if it names none."""
    _, _, place = made_by.partition(" ")
    file, _, function = place.partition(" ")
    return f"{file.split(':')[0]} {function}"


def _edges(
    program: Program,
    shown: Callable[[int], tuple[Place, int]],
    owner: dict[int, _Run],
    groups: dict[int, Place],
) -> list[Edge]:
    found: dict[tuple[Place, Place, bool], None] = {}
    for j, op in enumerate(program.ops):
        target, repetition = shown(j)
        for access in op.accesses:
            if isinstance(access.source, Constant):
                continue
            for source in sorted(producers(program, reads(op, access))):
                if source < 0:
                    found[source, groups[target], False] = None
                    continue
                place, other = shown(source)
                same = j in owner and owner.get(source) is owner[j]
                back = source >= j or (same and (other != repetition or isinstance(access.source, Carried)))
                if groups[place] != groups[target] or back:
                    found[groups[place], groups[target], back] = None
    return [Edge(*edge) for edge in found if edge[0] != edge[1] or edge[2]]


def _outputs(program: Program, node_of: Callable[[int], Place]) -> dict[Place, str]:
    """Names of the program's outputs, by the node that gives them."""
    found: dict[Place, list[str]] = {}
    for port, (value, _) in zip(program.interface.outputs, program.header.outputs, strict=True):
        place = -1 - value if value < len(program.header.inputs) else node_of(program.locate(value)[0])
        found.setdefault(place, []).append(port.name)
    return {place: ", ".join(mine) for place, mine in found.items()}


def _inputs(program: Program, outputs: dict[Place, str]) -> list[Box]:
    nodes = []
    tensors = program.header.inputs
    for value, (port, tensor) in enumerate(zip(program.interface.inputs, tensors, strict=True)):
        shape = f"{tensor.dtype.name.lower()}[{dims(tensor.shape)}]"
        lines = (port.name, f"{shape}  scale {tensor.scale}")
        tooltip = f"input {value} {port.name}: {shape}, scale {tensor.scale}"
        nodes.append(Box(-1 - value, "input", lines, tooltip, outputs.get(-1 - value, "")))
    return nodes


def _nodes(found: Anatomy, kept: Sequence[int], groups: dict[int, Place], outputs: dict[Place, str]) -> list[Box]:
    members: dict[Place, list[int]] = {}
    for j in kept:
        members.setdefault(groups[j], []).append(j)
    return [_node(found, place, mine, outputs.get(place, "")) for place, mine in members.items()]


def _node(found: Anatomy, place: Place, mine: Sequence[int], output: str) -> Box:
    parts = [found.parts[j] for j in mine]
    first = parts[0]
    primitive, _, source = brief(first.made_by).partition(" ")
    if len(parts) == 1:
        scale = "" if first.scale is None else f"  scale {first.scale}"
        over = f"{first.reduction} {dims(first.domain)}" if first.domain else ""
        kind = "product" if first.reduction == "dot" else "reduction" if first.domain else "map"
        lines = tuple(line for line in (f"{primitive}  {over}".strip(), f"{first.output}{scale}", source) if line)
        return Box(place, kind, lines, _tooltip(first), output)
    trace = sum(part.trace_bytes for part in parts)
    lines = (f"{len(parts)} ops, {mine[0]} to {mine[-1]}", f"{trace:,} bytes of trace", source)
    tooltip = "\n".join(f"{part.op}: {part.output} {part.made_by}" for part in parts[:40])
    return Box(place, "group", lines, tooltip, output)


def _tooltip(part: Part) -> str:
    gas = "" if part.gas is None else f", a step costs at most {part.gas:,} gas"
    times = f", {part.times:,} times" if part.times > 1 else ""
    return (
        f"op {part.op}: {part.made_by}\n{part.output}{times}, {part.instructions} instructions\n"
        f"{part.constants:,} bytes of constants, {part.trace_bytes:,} of trace{gas}"
    )
