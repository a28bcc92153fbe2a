"""A program in words, for ``touchstone model show``."""

from __future__ import annotations

from rollup.encoding import TensorType, TracePolicy
from rollup.program import Program

POLICIES = {TracePolicy.WITH_CLAIM: "with the claim", TracePolicy.ON_DISPUTE: "on dispute"}


def describe(program: Program) -> str:
    """Model id, trace, constants, inputs, outputs and a line for every descriptor."""
    header = program.header
    stored = sum(array.nbytes for array in program.constants.values())
    trace = sum(tensor.bytes for tensor in header.inputs) + sum(op.bytes * op.repeat for op in program.ops)
    lines = [
        f"model     {program.id.hex()}",
        f"trace     {header.values:,} values, {trace:,} bytes, committed {POLICIES[header.policy]}; "
        f"{1 << program.depth:,} leaves in the tree ({header.trace_depth} + {header.tensor_depth} levels)",
        f"constants {len(program.constants)}, {stored:,} bytes",
    ]
    lines += [f"input     value {value}: {_tensor(tensor)}" for value, tensor in enumerate(header.inputs)]
    lines += [f"output    value {value}: {_tensor(tensor)}" for value, tensor in header.outputs]
    for j, op in enumerate(program.ops):
        times = f", {op.repeat} times" if op.repeat > 1 else ""
        box = f" over {_dims(op.box)}" if op.box else ""
        kind = f"{op.monoid.name.lower()}{box}"
        lines.append(
            f"op {j:<6} value {op.first}: {op.dtype.name.lower()}[{_dims(op.shape)}], {kind}, "
            f"{len(op.code)} instructions{times}  {program.name(j)}"
        )
    return "\n".join(lines)


def _tensor(tensor: TensorType) -> str:
    return f"{tensor.dtype.name.lower()}[{_dims(tensor.shape)}], real = integer * 2^{-tensor.scale}"


def _dims(dims: tuple[int, ...]) -> str:
    return "x".join(map(str, dims))
