"""One layer from its jaxpr to the verdict about a lie, stage by stage, as CONTRIBUTING.md shows it.

``python -m tests.worked_lowering`` prints it and writes it there, ``--check`` finds it stale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from prover import lower
from rollup.audit.gas import gas_bound
from rollup.claim import ClaimId
from rollup.form.encoding import encode_op
from rollup.form.ops import Access, Constant, Instr, Op, Opcode
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.generated import settle
from rollup.l1.events import Convicted
from rollup.machine.reference import run
from rollup.types import LEAF_BYTES, DType, Gindex
from rollup.verdict import explain
from tests.lockstep.evm import Execution, Prover

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCK = re.compile(r"(?<=<!-- Written by `make docs`. -->\n```\n).*?(?=^```)", re.MULTILINE | re.DOTALL)

WEIGHTS = np.array([[0.5, -1.0, 0.25, 0.75], [1.0, 0.5, -0.5, 0.25], [-0.25, 0.5, 1.0, -1.0]], np.float32)
SAMPLES = [(np.array(x, np.float32),) for x in ([1.0, 2.0, -1.0, 0.5], [0.5, -1.0, 2.0, 1.0], [-2.0, 1.0, 0.25, -0.5])]
ELEMENT, VALUE = 1, 1
"""What the lie is about: element 1 of trace value 1, the output of the only op."""

LIE = 1 << 20
"""What it adds."""


def layer(x: jax.Array) -> jax.Array:
    return jnp.maximum(WEIGHTS @ x, 0)


def dtype_of(dtype: DType) -> str:
    return f"int{8 * dtype.size}"


def affine(op: Op, access: Access, dimension: int) -> str:
    """A coordinate: output indices are i0, i1 ..., domain indices k0, k1 ..."""
    variables = [f"i{n}" for n in range(len(op.shape))] + [f"k{n}" for n in range(len(op.domain))]
    terms = [
        (f"{term.coef}*" if term.coef != 1 else "") + variables[term.var]
        for term in access.terms
        if term.dimension == dimension
    ]
    offset = access.offsets[dimension]
    return " + ".join(terms + [str(offset)] * (offset != 0 or not terms))


def read(op: Op, number: int) -> str:
    access = op.accesses[number]
    return f"{'xy'[number]}[{', '.join(affine(op, access, d) for d in range(len(access.shape)))}]"


def source(access: Access) -> str:
    what = f"constant {access.source.root.hex()[:16]}" if isinstance(access.source, Constant) else "value 0"
    return f"{what}, {dtype_of(access.dtype)}{list(access.shape)}"


def instruction(number: int, instr: Instr) -> str:
    arguments = str(instr.imm) if instr.op is Opcode.CONST else ", ".join(f"r{r}" for r in instr.args)
    return f"r{number} = {instr.op.name.lower()}({arguments})"


def descriptor(op: Op) -> Iterator[str]:
    """An op's fields, in the notation of docs/formats.md."""
    domain = ", ".join(f"k{n} < {size}" for n, size in enumerate(op.domain))
    yield f"for {', '.join(f'i{n} < {size}' for n, size in enumerate(op.shape))}:"
    product = " * ".join(read(op, number) for number in range(op.factors))
    yield f"  r0 = acc = {op.monoid.name.lower()} over {domain} of {product}"
    for number, access in enumerate(op.accesses):
        yield f"       {'xy'[number]} = {source(access)}"
    for number, instr in enumerate(op.code, 1):
        yield f"  {instruction(number, instr)}"
    yield f"  out = {dtype_of(op.dtype)}(r{len(op.code)})"


def stages(program: Program) -> Iterator[tuple[str, list[str]]]:
    """Each stage: a title, and what it shows."""
    (x,), header, (op,) = SAMPLES[0], program.header, program.ops
    yield "The jaxpr", str(jax.make_jaxpr(layer)(x)).splitlines()

    (port,), ((_, result),) = header.inputs, header.outputs
    bound, size = gas_bound(op, program), len(encode_op(op))
    yield (
        "The program",
        [
            f"model id {program.id.hex()}",
            f"value 0: the input, {dtype_of(port.dtype)}{list(port.shape)}, real = integer * 2^-{port.scale}",
            f"value 1: the output, {dtype_of(result.dtype)}{list(result.shape)}, real = integer * 2^-{result.scale}",
            f"its op, {program.name(0)}:",
            *descriptor(op),
            f"The descriptor has {size} bytes. No proof about it costs more than {bound.gas:,} gas.",
        ],
    )

    honest = Execution(program, run(program, [np.round(x * 2.0**port.scale).astype(np.int16)]))
    yield (
        "The execution",
        [
            f"on x = {x.tolist()}, where the float function gives {layer(jnp.asarray(x)).tolist()}:",
            *(f"value {v} = {array.tolist()}" for v, array in enumerate(honest.values)),
            f"trace root {honest.tree.root.hex()}",
        ],
    )

    values = [array.copy() for array in honest.values]
    values[VALUE][ELEMENT] += LIE
    liar = Execution(program, values)
    yield (
        "The lie",
        [
            f"element {ELEMENT} of value {VALUE} is claimed as {values[VALUE][ELEMENT]}",
            f"trace root {liar.tree.root.hex()}",
        ],
    )

    disputed, witness = liar.witness(VALUE, ELEMENT)
    yield (
        "The witness",
        [
            f"leaf {disputed.leaf} of the trace is disputed",
            f"{len(witness):,} bytes: 3 leaves of {LEAF_BYTES:,} (input, disputed output, weights), the descriptor of {size}, paths",
        ],
    )

    claimed, computed = Prover().step(disputed, witness)
    yield (
        "The two judges",
        [
            f"the reference computes {honest.memory.element(VALUE, ELEMENT)}",
            f"OneStepProver, on an EVM, reads {claimed} in the trace and computes {computed}",
        ],
    )

    place = (1 << header.trace_depth + header.tensor_depth) + disputed.leaf
    claim, right = (number.to_bytes(32, "big", signed=True) for number in (claimed, computed))
    game = bytes(32)
    conviction = Convicted(ClaimId(game), game, Rule.STEP, Gindex(place), VALUE, ELEMENT, 0, claim, right)
    yield "The verdict", [explain(program, conviction).sentence]


def worked() -> str:
    """The whole text, as it must stand in CONTRIBUTING.md."""
    program = lower(layer, *SAMPLES[0], calibration=SAMPLES).program
    parts = [
        f"{number}. {title}\n" + "".join(f"   {line}\n" for line in lines)
        for number, (title, lines) in enumerate(stages(program), 1)
    ]
    return "\n".join(parts)


def page(text: str) -> str:
    return BLOCK.sub(lambda _: text, PAGE.read_text())


if __name__ == "__main__":
    story = worked()
    print(story)
    sys.exit(settle(PAGE, page(story), "python -m tests.worked_lowering", sys.argv[1:]))
