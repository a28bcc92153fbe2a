"""What a program is made of, op by op: shapes, formats, constants, bytes of trace, the most that a proof about it can cost on chain."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rollup.audit.form import form
from rollup.audit.gas import gas_bound
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.interface import Named
from rollup.form.ops import Access, Constant, Monoid, Op
from rollup.form.program import Program
from rollup.types import DType, Root

POLICIES = {TracePolicy.WITH_CLAIM: "with the claim", TracePolicy.ON_DISPUTE: "on dispute"}


@dataclass(frozen=True)
class Part:
    """One descriptor. ``value``: its first trace value; ``times``: iterations, which ``trace_bytes`` counts all.

    ``scale``: real = integer * 2^-scale, None if the file does not say; ``constants``: bytes of the tensors that it names, and of
    those that no op before it names (``fresh``); ``part``: domain positions that one proof covers, 0 for all of them; ``gas``, ``gas_7976``
    (at 64 gas a byte of calldata), ``calldata``: of the dearest proof, as a whole transaction, None if the program is not
    well-formed; ``made_by``: primitive and source line; ``weighted``: whether it is a product of a value with constants, ``wide``: whether
    the value has more than 16 bits.
    """

    op: int
    value: int
    times: int
    dtype: str
    shape: tuple[int, ...]
    scale: int | None
    reduction: str
    domain: tuple[int, ...]
    part: int
    instructions: int
    constants: int
    fresh: int
    trace_bytes: int
    gas: int | None
    gas_7976: int | None
    calldata: int | None
    made_by: str
    weighted: bool
    wide: bool

    @property
    def output(self) -> str:
        return f"{self.dtype}[{dims(self.shape)}]"


@dataclass(frozen=True)
class Anatomy:
    """A program's parts with totals; ``sound``: whether the audit finds nothing wrong with its form."""

    program: Program
    parts: tuple[Part, ...]
    sound: bool

    @property
    def constant_bytes(self) -> int:
        return sum(array.nbytes for array in self.program.constants.values())

    @property
    def trace_bytes(self) -> int:
        inputs = sum(tensor.bytes for tensor in self.program.header.inputs)
        return inputs + sum(part.trace_bytes for part in self.parts)

    @property
    def executed(self) -> int:
        """Ops of one execution, iterations counted."""
        return sum(part.times for part in self.parts)

    @property
    def weighted(self) -> int:
        """Products with weights, iterations counted."""
        return sum(part.times for part in self.parts if part.weighted)

    @property
    def wide(self) -> int:
        """Those of values of more than 16 bits."""
        return sum(part.times for part in self.parts if part.wide)

    @property
    def gas(self) -> int | None:
        """The dearest proof's bound."""
        return max((part.gas for part in self.parts if part.gas is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        """For ``touchstone model show --json``; what the fields mean is in docs/models.md."""
        header, program = self.program.header, self.program
        return {
            "model_id": "0x" + program.id.hex(),
            "name": _text(program.meta.get("name")),
            "formats": _text(program.meta.get("formats")),
            "policy": POLICIES[header.policy],
            "values": header.values,
            "trace_depth": header.trace_depth,
            "tensor_depth": header.tensor_depth,
            "inputs": [
                _tensor(v, tensor, port)
                for v, (tensor, port) in enumerate(zip(header.inputs, program.interface.inputs, strict=True))
            ],
            "outputs": [
                {**_tensor(v, tensor, port), "ends": port.ends}
                for (v, tensor), port in zip(header.outputs, program.interface.outputs, strict=True)
            ],
            "constants": {"tensors": len(program.constants), "bytes": self.constant_bytes},
            "trace_bytes": self.trace_bytes,
            "executed": self.executed,
            "products": {"weighted": self.weighted, "wide": self.wide},
            "gas": self.gas,
            "sound": self.sound,
            "ops": [asdict(part) for part in self.parts],
            "fidelity": program.meta.get("fidelity"),
        }


def anatomy(program: Program) -> Anatomy:
    """The parts of any program, well-formed or not."""
    sound = not form(program)
    scales = program.meta.get("scales")
    known = scales if isinstance(scales, list) and len(scales) == len(program.ops) else [None] * len(program.ops)
    seen: set[Root] = set()
    parts = []
    for j, (op, scale) in enumerate(zip(program.ops, known, strict=True)):
        roots = {access.source.root for access in op.accesses if isinstance(access.source, Constant)}
        bound = gas_bound(op, program) if sound else None
        values = _weighted(op)
        parts.append(
            Part(
                j,
                op.first,
                op.repeat,
                op.dtype.name.lower(),
                op.shape,
                scale if isinstance(scale, int) else None,
                reduction(op),
                op.domain,
                op.part,
                len(op.code),
                _bytes(program, roots),
                _bytes(program, roots - seen),
                op.bytes * op.repeat,
                None if bound is None else bound.gas,
                None if bound is None else bound.gas_7976,
                None if bound is None else bound.calldata,
                printable(program.name(j)),
                bool(values),
                any(access.dtype.size > DType.I16.size for access in values),
            )
        )
        seen |= roots
    return Anatomy(program, tuple(parts), sound)


def _weighted(op: Op) -> list[Access]:
    """The factor that is no constant, of a product with weights; nothing of any other op."""
    factors = op.accesses[: op.factors] if op.factors == 2 and op.monoid is Monoid.SUM else ()
    values = [access for access in factors if not isinstance(access.source, Constant)]
    return values if len(values) == 1 else []


def reduction(op: Op) -> str:
    """``dot``, ``sum``, ``max`` ... of what reduces, ``map`` of what does not."""
    if not op.domain:
        return "map"
    return "dot" if op.factors == 2 and op.monoid.name == "SUM" else op.monoid.name.lower()


def dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def printable(text: str) -> str:
    """A name from a file, as one line without control characters."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def _bytes(program: Program, roots: set[Root]) -> int:
    return sum(program.constants[root].nbytes for root in roots if root in program.constants)


def _tensor(value: int, tensor: TensorType, port: Named) -> dict[str, Any]:
    integer = {"integer": tensor.dtype.name.lower(), "shape": tensor.shape, "scale": tensor.scale}
    return {"value": value, "name": port.name, "dtype": port.dtype, **integer}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
