"""Proofs are tried out on L1, where that costs nothing, before money or gas is put on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from challenger.strategy import Accusation
from rollup.errors import Refused, Reverted, TouchstoneError
from rollup.game.moves import Rule
from rollup.game.position import offset_of
from rollup.game.question import Partial, Question, accumulator, combine
from rollup.l1.chain import TRANSACTION_GAS
from rollup.l1.client import L1Client
from rollup.program import Program
from rollup.types import Root

REMEMBERED = 1024
"""Most answers that are remembered: a move may have to wait for its block, and is not tried out again."""


class Unprovable(TouchstoneError):
    """L1 would not see what is held against a claim: it is not disputed, or not any further."""


@dataclass
class Simulation:
    """Asks the contract that decides about single elements, with the gas that a transaction can have."""

    client: L1Client
    _answers: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def convicts(self, program: Program, trace_root: Root, accusation: Accusation, witness: bytes) -> None:
        """Raises Unprovable unless the witness shows what is accused; comparisons of roots and of bytes beyond every value are
        not asked about.
        """
        leaf = offset_of(accusation.position)
        value = leaf >> program.header.tensor_depth
        of_op = len(program.header.inputs) <= value < program.header.values
        if accusation.rule is Rule.STEP:
            claimed, computed = self._ask("step", program, trace_root, leaf, witness)
            self._require(claimed != computed, f"element {accusation.detail} of leaf {leaf} is {computed} for L1, too")
        elif accusation.rule is Rule.PADDING and of_op:
            (non_zero,) = self._ask("padding", program, trace_root, leaf, witness)
            self._require(non_zero, f"the bytes behind the end of leaf {leaf} are zeros for L1")

    def divides(self, program: Program, trace_root: Root, accusation: Accusation, descriptor: bytes) -> None:
        """Raises Unprovable unless L1 takes the op's descriptor, and says that the element is proven in parts."""
        leaf = offset_of(accusation.position)
        _, parts = self._ask("outline", program, trace_root, leaf, accusation.detail, descriptor)
        self._require(parts > 1, f"element {accusation.detail} of leaf {leaf} is not proven in parts for L1")

    def settles(
        self,
        program: Program,
        trace_root: Root,
        question: Question,
        results: Sequence[Partial],
        child: int | None,
        witness: bytes,
    ) -> None:
        """Raises Unprovable unless the witness shows that partial result ``child`` (None: what the code gives) is false."""
        leaf, element = offset_of(question.place), question.element
        if child is None:
            acc = accumulator(question.monoid, combine(question.monoid, results))
            claimed, computed = self._ask("epilogue", program, trace_root, leaf, element, acc, witness)
            self._require(claimed != computed, f"element {element} of leaf {leaf} is {computed} for L1, too")
            return
        number = question.part(child)
        value, position = self._ask("part", program, trace_root, leaf, element, number, witness)
        right = Partial(value, position)
        self._require(
            right != results[child], f"part {number} of element {element} of leaf {leaf} is {right} for L1, too"
        )

    def _require(self, shown: bool, sentence: str) -> None:
        if not shown:
            raise Unprovable(f"{sentence}; report this as a bug, and look at the claim by hand")

    def _ask(self, name: str, program: Program, trace_root: Root, leaf: int, *args: Any) -> Any:
        header = program.header
        step = (program.id, trace_root, header.trace_depth, header.tensor_depth, leaf)
        key = (name, step, *args)
        if key in self._answers:
            return self._answers[key]
        try:
            answer = self.client.ask_prover(name, (step, *args), TRANSACTION_GAS)
        except Reverted as error:
            raise Unprovable(f"L1 refuses to look at leaf {leaf} ({error.name}): {error}") from error
        except Refused as error:
            # A node may refuse for reasons of its own, which pass.
            if "gas" not in str(error).lower():
                raise
            raise Unprovable(f"what shows leaf {leaf} takes more gas than a transaction may have: {error}") from error
        if len(self._answers) >= REMEMBERED:
            self._answers.clear()
        self._answers[key] = answer
        return answer
