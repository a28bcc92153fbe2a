"""Proofs are tried out on L1, where that costs nothing, before money or gas is put on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from challenger.play.accusation import Accusation
from rollup.errors import ChainError, Refused, Reverted, TouchstoneError
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.game.position import offset_of
from rollup.game.question import Partial, Question, accumulator, combine
from rollup.l1.client import L1Client
from rollup.l1.node.chain import TRANSACTION_GAS
from rollup.types import Root

REMEMBERED = 1024
"""Most proofs that are remembered: a move may have to wait for its block, and is not tried out again."""

REFUSALS = 10
"""Blocks in which L1 must refuse a proof before that is believed: a node refuses for reasons of its own, too, and those pass."""


class Unprovable(TouchstoneError):
    """L1 would not see what is held against a claim: it is not disputed."""


class Doubtful(ChainError):
    """L1 did not see what is held against a claim when it was asked; it is asked again in another block."""


@dataclass
class Simulation:
    """Asks the contract that decides about single elements, with the gas that a transaction can have."""

    client: L1Client
    _shown: set[tuple[Any, ...]] = field(default_factory=set)
    _refused: dict[tuple[Any, ...], set[int]] = field(default_factory=dict)

    def convicts(self, program: Program, trace_root: Root, accusation: Accusation, witness: bytes) -> None:
        """Raises Unprovable, or at first Doubtful, unless the witness shows what is accused; comparisons of roots and of bytes beyond
        every value are not asked about.
        """
        leaf = offset_of(accusation.position)
        value = leaf >> program.header.tensor_depth
        of_op = len(program.header.inputs) <= value < program.header.values

        def step(claimed: int, computed: int) -> str | None:
            same = f"element {accusation.detail} of leaf {leaf} is {computed} for L1, too"
            return None if claimed != computed else same

        def padding(non_zero: bool) -> str | None:
            return None if non_zero else f"the bytes behind the end of leaf {leaf} are zeros for L1"

        if accusation.rule is Rule.STEP:
            self._ask("step", program, trace_root, leaf, witness, judge=step)
        elif accusation.rule is Rule.PADDING and of_op:
            self._ask("padding", program, trace_root, leaf, witness, judge=padding)

    def divides(self, program: Program, trace_root: Root, accusation: Accusation, descriptor: bytes) -> None:
        """Raises as ``convicts`` unless L1 takes the op's descriptor, and says that the element is proven in parts."""
        leaf = offset_of(accusation.position)

        def outline(_: Any, parts: int) -> str | None:
            return None if parts > 1 else f"element {accusation.detail} of leaf {leaf} is not proven in parts for L1"

        self._ask("outline", program, trace_root, leaf, accusation.detail, descriptor, judge=outline)

    def settles(
        self,
        program: Program,
        trace_root: Root,
        question: Question,
        results: Sequence[Partial],
        child: int | None,
        witness: bytes,
    ) -> None:
        """Raises as ``convicts`` unless the witness shows that partial result ``child`` (None: what the code gives) is false."""
        leaf, element = offset_of(question.place), question.element

        def epilogue(claimed: int, computed: int) -> str | None:
            return None if claimed != computed else f"element {element} of leaf {leaf} is {computed} for L1, too"

        if child is None:
            acc = accumulator(question.monoid, combine(question.monoid, results))
            self._ask("epilogue", program, trace_root, leaf, element, acc, witness, judge=epilogue)
            return
        number = question.part(child)

        def part(value: int, position: int) -> str | None:
            right = Partial(value, position)
            same = f"part {number} of element {element} of leaf {leaf} is {right} for L1, too"
            return None if right != results[child] else same

        self._ask("part", program, trace_root, leaf, element, number, witness, judge=part)

    def _ask(
        self,
        name: str,
        program: Program,
        trace_root: Root,
        leaf: int,
        *args: Any,
        judge: Callable[..., str | None],
    ) -> None:
        """``judge``: what is wrong with an answer."""
        header = program.header
        step = (program.id, trace_root, header.trace_depth, header.tensor_depth, leaf)
        key = (name, step, *args)
        if key in self._shown:
            return
        try:
            wrong = judge(*self.client.ask_prover(name, (step, *args), TRANSACTION_GAS))
        except Reverted as error:
            wrong = f"L1 refuses to look at leaf {leaf} ({error.name}): {error}"
        except Refused as error:
            if "gas" not in str(error).lower():
                raise
            wrong = f"what shows leaf {leaf} takes more gas than a transaction may have: {error}"
        if wrong is not None:
            self._doubt(key, wrong)
        if len(self._shown) >= REMEMBERED:
            self._shown.clear()
        self._shown.add(key)
        self._refused.pop(key, None)

    def _doubt(self, key: tuple[Any, ...], wrong: str) -> None:
        """Raises Doubtful until L1 refused in enough blocks, Unprovable from then on."""
        if len(self._refused) >= REMEMBERED and key not in self._refused:
            self._refused.clear()
        blocks = self._refused.setdefault(key, set())
        blocks.add(self.client.chain.height())
        if len(blocks) < REFUSALS:
            raise Doubtful(f"{wrong}; L1 is asked again in the next block")
        raise Unprovable(f"{wrong}, in {REFUSALS} blocks; report this as a bug, and look at the claim by hand")
