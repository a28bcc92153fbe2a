"""Writes ``docs/ops.md``, the reference of the op form, from the op tables: ``python -m rollup.reference_page
[--check]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rollup.form.ops import INSTRUCTIONS, MAX_ACCESSES, MAX_CODE, MAX_RANK, MONOIDS, Monoid, Opcode, Spec
from rollup.generated import settle
from rollup.types import DType

PAGE = Path(__file__).resolve().parent.parent / "docs" / "ops.md"

_OPERANDS = {
    "imm64": ("imm", "a signed 64-bit number, stored in the instruction"),
    "var": ("var", "the number of an output dimension, or 255 for the iteration t"),
    "access": ("access", "the number of an access of the op"),
    "reg": ("reg", "a register"),
}

_CONSTRAINTS = {
    Opcode.INDEX: ("`var` is below the output's rank, or 255.",),
    Opcode.LOAD: ("The access is not indirect.", "The access does not depend on a domain variable."),
    Opcode.GATHER: (
        "The access's indirect coordinate names the access itself.",
        "The access does not depend on a domain variable.",
    ),
}

_HEAD = f"""# Ops

Generated from the tables in `rollup/form/ops.py` by `python -m rollup.reference_page`; do not edit.

```
 acc    = monoid over k in domain ( x[a(i,k)] * y[b(i,k)] )
 out[i] = cast( code(acc, loads...) )
```
The domain is the reduction domain. Intermediate numbers are signed 64-bit integers, and every operation is total. Products and sums wrap
modulo 2^64. An op has at most {MAX_ACCESSES} accesses and {MAX_CODE} instructions. Shapes, domains and views have at most {MAX_RANK}
dimensions. [formats.md](formats.md) has the encoding.

## Dtypes

| name | code | bytes | least | greatest |
|---|---|---|---|---|
"""

_MONOID_HEAD = """
## Monoids

Every monoid has these inputs: (I1) one or two factors, accesses 0 and 1; `none` also takes no factor, and then `acc` is 0. (I2) the domain.
"""

_MONOID_EXAMPLES = {
    Monoid.NONE: "x = 5, y = 3: acc = 15",
    Monoid.SUM: "x = [1, 2, 3], y = [4, 5, 6]: acc = 32",
    Monoid.MAX: "x = [3, -1, 3]: acc = 3",
    Monoid.MIN: "x = [3, -1, 3]: acc = -1",
    Monoid.ARGMAX: "x = [3, -1, 3]: acc = 0",
    Monoid.ARGMIN: "x = [3, -1, 3]: acc = 1",
}

_CODE_HEAD = """
## Instructions

Register 0 is `acc`. Instruction n writes register n + 1. The last register is the result, wrapped to the op's dtype. Every instruction has
the constraint (C1): a register is written before it is read.
"""


def _example(opcode: Opcode, spec: Spec) -> str:
    if spec.example is None:
        return {
            Opcode.CONST: "`const(-7)` = -7",
            Opcode.INDEX: "at i = (4, 2): `index(1)` = 2",
            Opcode.LOAD: "an access to [10, 20, 30] with coordinate i, at i = (2): `load` = 30; at i = (3): its fill",
            Opcode.GATHER: "an access to [10, 20, 30] with offset 1 and a register of -1: `gather` = 10; of 2: its fill",
        }[opcode]
    arguments, result = spec.example
    return f"`{opcode.name.lower()}({', '.join(map(str, arguments))})` = {result}"


def instruction_section(opcode: Opcode) -> str:
    """The section of one instruction: semantics, inputs, constraints, example."""
    spec = INSTRUCTIONS[opcode]
    lines = [f"### {opcode.name.lower()}", "", f"**Semantics.** {spec.semantics}", "", "**Inputs.**", ""]
    names = iter("abc")
    if opcode is Opcode.MULSHIFT:
        names = iter("ams")
    lines += ["| label | name | type | bytes |", "|---|---|---|---|", f"| (I0) | opcode | {opcode.value} | 1 |"]
    for number, kind in enumerate(spec.operands.split(), start=1):
        label, what = _OPERANDS[kind]
        name = next(names) if kind == "reg" else label
        lines.append(f"| (I{number}) | {name} | {what} | {8 if kind == 'imm64' else 1} |")
    constraints = _CONSTRAINTS.get(opcode, ())
    if constraints:
        lines += ["", "**Constraints.**", ""]
        lines += [f"- (C{number}) {text}" for number, text in enumerate(constraints, start=2)]
    lines += ["", f"**Example.** {_example(opcode, spec)}", ""]
    return "\n".join(lines)


def page() -> str:
    """The whole page, as it must stand in ``docs/ops.md``."""
    dtypes = "".join(f"| {d.name.lower()} | {d.value} | {d.size} | {d.min} | {d.max} |\n" for d in DType)
    monoids = ""
    for monoid, semantics in MONOIDS.items():
        constraint = (
            "The domain is empty."
            if monoid is Monoid.NONE
            else "The domain is not empty, and there is at least one factor."
        )
        monoids += (
            f"\n### {monoid.name.lower()}\n\n**Semantics.** {semantics} (code {monoid.value})\n\n**Constraints.**\n\n"
            f"- (C1) {constraint}\n\n**Example.** {_MONOID_EXAMPLES[monoid]}\n"
        )
    instructions = "\n".join(instruction_section(opcode) for opcode in INSTRUCTIONS)
    return _HEAD + dtypes + _MONOID_HEAD + monoids + _CODE_HEAD + "\n" + instructions.rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, page(), "python -m rollup.reference_page", sys.argv[1:]))
