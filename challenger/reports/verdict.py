"""A verdict in words: which element of which op was claimed as what, and what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from challenger.play.known import KnownTrace
from challenger.play.trace import ValueTrace
from rollup.claim import arrays, output_types
from rollup.errors import CommitmentError
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1.events import Convicted
from rollup.machine.reference import unravel
from rollup.merkle import join_tree
from rollup.types import Gindex, Root
from rollup.verdict import explain, number, spot


@dataclass(frozen=True)
class Verdict:
    """What a conviction found. ``claimed`` and ``right``: integers (step, padding, epilogue), tensor roots as hex (input, output),
    or integers, or value and position in words, of a part of a reduction.

    ``scale``: fixed-point scale of the op's output, if it stands for reals. ``agreed``: root of the last state that both sides
    accept; ``claimed_state`` and ``right_state``: roots of the next one (None where the claimed one was never revealed).
    """

    rule: Rule
    trace_index: int
    where: str
    coordinates: tuple[int, ...]
    claimed: int | str
    right: int | str
    scale: int
    agreed: Root
    claimed_state: Root | None
    right_state: Root
    sentence: str = ""

    def __str__(self) -> str:
        roots = f"state {self.trace_index} is agreed ({self.agreed.hex()[:12]}), state {self.trace_index + 1} "
        roots += f"is claimed as {self.claimed_state.hex()[:12] if self.claimed_state else 'withheld'} and is {self.right_state.hex()[:12]}"
        if self.rule in (Rule.PART, Rule.EPILOGUE):
            return f"{self.sentence}; {roots}"
        if isinstance(self.claimed, str) or isinstance(self.right, str):
            return f"{self.where}: tensor root {str(self.claimed)[:12]} in the trace, {str(self.right)[:12]} in the claim; {roots}"
        if self.rule is Rule.OUTPUT:
            roots = f"the trace is right ({self.right_state.hex()[:12]} is its state {self.trace_index + 1}), "
            roots += "the claimed output is not its output"
        at = f"element {list(self.coordinates)}" if self.coordinates else "the only element"
        return (
            f"{self.where}: {at} is claimed as {self._number(self.claimed)} and is {self._number(self.right)}; {roots}"
        )

    def _number(self, value: int | str) -> str:
        assert isinstance(value, int)
        return number(value, self.scale)


def verdict(program: Program, event: Convicted, own: ValueTrace, theirs: KnownTrace, outputs: bytes) -> Verdict:
    """Explain a conviction with the challenger's own trace, what is known of the claimant's, and the claim's output bytes."""
    header, index = program.header, event.trace_index
    entry = Gindex((1 << header.trace_depth) + index)
    coordinates: tuple[int, ...] = ()
    scale = 0
    claimed: int | str = event.claimed.hex()
    right: int | str = event.computed.hex()
    where, sentence = f"value {index}", ""
    if index < len(header.inputs):
        where = f"input {index} of the trace"
        scale = header.inputs[index].scale
    elif index < header.values:
        found = spot(program, event)
        where, scale, coordinates = str(found), found.scale, found.coordinates
        if event.rule in (Rule.PART, Rule.EPILOGUE):
            finding = explain(program, event)
            assert finding.claimed is not None and finding.right is not None
            claimed, right, sentence = finding.claimed, finding.right, finding.sentence
    if event.rule in (Rule.STEP, Rule.PADDING):
        claimed, right = (int.from_bytes(word, "big", signed=True) for word in (event.claimed, event.computed))
    elif event.rule is Rule.OUTPUT:
        number = next(j for j, (value, _) in enumerate(header.outputs) if value == index)
        given = arrays(outputs, output_types(header), "output")[number].reshape(-1)
        truth = np.asarray(own.values[index]).reshape(-1)
        differing = np.flatnonzero(given != truth)
        if differing.size:
            element = int(differing[0])
            scale = header.outputs[number][1].scale
            coordinates = unravel(element, header.outputs[number][1].shape)
            claimed, right = int(given[element]), int(truth[element])
    kept = [own.node(Gindex((1 << header.trace_depth) + v)) for v in range(index)]
    try:
        after = join_tree([*kept, theirs.node(entry)], header.tensor_depth, header.trace_depth).root
    except CommitmentError:
        after = None
    return Verdict(
        event.rule,
        index,
        where,
        coordinates,
        claimed,
        right,
        scale,
        own.state_root(index),
        after,
        own.state_root(index + 1),
        sentence,
    )
