"""Whether a program is well-formed: every question about its meaning has exactly one answer, for every element of every
op, and it says nothing that could be said in another way (``rollup.audit.canonical``).

The executor refuses what fails here; ``rollup.audit.audit`` adds overflow and cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rollup.audit.canonical import canonical
from rollup.errors import AuditError, EncodingError
from rollup.form.affine import extents, producers, reads, spans
from rollup.form.constants import stored_bytes
from rollup.form.encoding import MAX_DEPTH, TensorType, TracePolicy, depths, encode_op
from rollup.form.ops import INSTRUCTIONS, ITERATION, MAX_RANK, Access, Constant, Monoid, Op, Opcode, registers
from rollup.form.program import Program
from rollup.hashing import leaf_count
from rollup.merkle import depth_for
from rollup.types import DType

DESCRIPTOR_LIMIT = (1 << 16) - 1
"""Bytes of a descriptor; a witness gives its length in 16 bits."""

BOX_LIMIT = 1 << 26
"""Most positions of a reduction domain: far beyond what one step's gas allows, and small enough to be run at all."""

SELECTION_LIMIT = 1 << 22
"""Most (iteration, stacked value) pairs that one access may select among: each of them is looked at."""

PROGRAM_SELECTION_LIMIT = 1 << 24
"""Most of them in all: an audit ends, whatever file it is given."""

_FAR = 1 << 62


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong: the rule's name, the descriptor (None: the header), and a sentence with the remedy."""

    rule: str
    descriptor: int | None
    message: str


def check_form(program: Program) -> None:
    """Raise AuditError with every finding unless the program is well-formed."""
    refuse(program, form(program))


def refuse(program: Program, findings: list[AuditFinding]) -> None:
    """Raise AuditError that lists the findings by name, if there are any."""
    if findings:
        raise AuditError(
            "the program fails the audit: " + "; ".join(sentence(program, finding) for finding in findings)
        )


def sentence(program: Program, finding: AuditFinding) -> str:
    place = "header" if finding.descriptor is None else f"op {finding.descriptor} ({program.name(finding.descriptor)})"
    return f"[{finding.rule}] {place}: {finding.message}"


def form(program: Program) -> list[AuditFinding]:
    """Every finding about the program's form. Accesses are looked at only if the descriptors' order is right."""
    order = list(_order(program))
    if order:
        return order
    found = list(_header(program))
    selected = 0
    for j, op in enumerate(program.ops):
        mine = [AuditFinding(rule, j, message) for rule, message in _op(op)]
        if not mine:
            mine = [AuditFinding("canonical", j, message) for message in canonical(op)]
        if not mine:
            selected += sum(_selected(op, access) for access in op.accesses)
            if selected > PROGRAM_SELECTION_LIMIT:
                message = (
                    f"up to here the program's accesses select among {selected:,} values over their iterations; at most "
                    f"{PROGRAM_SELECTION_LIMIT:,} in all, split loops and stacks"
                )
                return [*found, AuditFinding("source", j, message)]
            mine = [AuditFinding(rule, j, message) for rule, message in _sources(program, op)]
        found += mine
    return found


def _order(program: Program) -> Iterator[AuditFinding]:
    """Descriptors cover inputs .. values exactly once, in order; bodies are whole."""
    at, start = len(program.header.inputs), 0
    while start < len(program.ops):
        op = program.ops[start]
        if op.body < 1 or op.repeat < 1:
            yield AuditFinding("segment", start, f"body {op.body} and repeat {op.repeat} must both be at least 1")
            return
        body = op.body if op.repeat > 1 else 1
        members = program.ops[start : start + body]
        if len(members) < body:
            yield AuditFinding(
                "segment", start, f"its segment has {body} ops, only {len(members)} follow; give the whole body"
            )
            return
        for j, member in enumerate(members):
            if (member.body, member.repeat) != (op.body, op.repeat):
                message = (
                    f"body {member.body} and repeat {member.repeat} differ from its segment's {op.body} and {op.repeat}"
                )
                yield AuditFinding("segment", start + j, message)
                return
            if member.first != at + j:
                yield AuditFinding(
                    "order", start + j, f"gives trace value {member.first}, {at + j} is next; number the ops in order"
                )
                return
        at += body * op.repeat
        start += body
    if at != program.header.values:
        yield AuditFinding(
            "values", None, f"the descriptors give values up to {at - 1}, the header counts {program.header.values}"
        )


def _tensor(tensor: TensorType, what: str) -> Iterator[AuditFinding]:
    if any(size < 1 for size in tensor.shape) or len(tensor.shape) > MAX_RANK:
        yield AuditFinding(
            "shape", None, f"{what} has shape {tensor.shape}; dimensions are positive and at most {MAX_RANK}"
        )


def _header(program: Program) -> Iterator[AuditFinding]:
    header = program.header
    if header.policy not in set(TracePolicy):
        yield AuditFinding("policy", None, f"trace policy {header.policy} does not exist")
    for number, tensor in enumerate(header.inputs):
        yield from _tensor(tensor, f"input {number}")
    if not header.values:
        yield AuditFinding("values", None, "the program has neither inputs nor ops")
        return
    if not program.ops:
        yield AuditFinding(
            "values",
            None,
            "the program has no op, so L1 does not register it; copy an input with one, or lower it again",
        )
    sizes = [tensor.bytes for tensor in header.inputs] + [op.bytes for op in program.ops]
    expected = depths(header.values, sizes)
    if (header.trace_depth, header.tensor_depth) != expected:
        yield AuditFinding(
            "depth",
            None,
            f"trace and tensor depth are {header.trace_depth} and {header.tensor_depth}, the sizes give {expected}",
        )
    if max(expected) > MAX_DEPTH:
        yield AuditFinding(
            "depth",
            None,
            f"trace and tensor depth are {expected[0]} and {expected[1]}, at most {MAX_DEPTH} each can be registered; "
            "use smaller tensors or fewer values",
        )
    if not header.outputs:
        yield AuditFinding("output", None, "the program has no outputs; name at least one")
    for number, (value, tensor) in enumerate(header.outputs):
        yield from _tensor(tensor, f"output {number}")
        if value >= header.values:
            yield AuditFinding(
                "output", None, f"output {number} is trace value {value}, the last one is {header.values - 1}"
            )
            continue
        (producer,) = producers(program, [value])
        elements, dtype = _produced(program, producer)
        if tensor.elements != elements or tensor.dtype is not dtype:
            given = f"{tensor.elements} {tensor.dtype.name}"
            message = f"output {number} is {given}, trace value {value} is {elements} {dtype.name}"
            yield AuditFinding("output", None, message)


def _produced(program: Program, producer: int) -> tuple[int, DType]:
    if producer < 0:
        tensor = program.header.inputs[-1 - producer]
        return tensor.elements, tensor.dtype
    op = program.ops[producer]
    return op.elements, op.dtype


Found = Iterator[tuple[str, str]]


def _op(op: Op) -> Found:
    """Findings that need nothing but the descriptor."""
    for what, dims in (("output", op.shape), ("domain", op.domain)):
        if any(size < 1 for size in dims) or len(dims) > MAX_RANK:
            yield "shape", f"its {what} has dimensions {dims}; they are positive and at most {MAX_RANK}"
    if op.domain_elements > BOX_LIMIT:
        yield "domain", f"its domain has {op.domain_elements:,} positions; at most {BOX_LIMIT:,}, split the reduction"
    if op.monoid is Monoid.NONE and op.domain:
        yield "domain", f"monoid none reduces nothing, but the domain is {op.domain}; leave it empty"
    if op.factors > 2 or op.factors > len(op.accesses) or (op.factors == 0 and op.monoid is not Monoid.NONE):
        yield (
            "factors",
            f"{op.factors} factors with {len(op.accesses)} accesses; one or two (none only without a reduction)",
        )
        return
    bad = list(_code(op))
    yield from bad
    for number, access in enumerate(op.accesses):
        found = list(_access(op, number, access))
        yield from found
        bad += found
    if bad:
        return
    yield from _roles(op)
    try:
        size = len(encode_op(op))
    except EncodingError as error:
        yield "encoding", str(error)
        return
    if size > DESCRIPTOR_LIMIT:
        yield "encoding", f"its descriptor has {size} bytes; at most {DESCRIPTOR_LIMIT} fit a witness"


def _code(op: Op) -> Found:
    for number, instr in enumerate(op.code):
        name = f"instruction {number} ({instr.op.name.lower()})"
        kinds = INSTRUCTIONS[instr.op].arguments
        if len(kinds) != len(instr.args):
            yield "code", f"{name} has {len(instr.args)} arguments, it takes {len(kinds)}"
            continue
        if any(register > number for register in registers(instr)):
            yield "register", f"{name} reads register {max(registers(instr))}; the last one written is {number}"
        if instr.op is Opcode.INDEX and not (instr.args[0] < len(op.shape) or instr.args[0] == ITERATION):
            yield "variable", f"{name} reads variable {instr.args[0]}; the output has {len(op.shape)} dimensions"
        if instr.op in (Opcode.LOAD, Opcode.GATHER) and instr.args[0] >= len(op.accesses):
            yield "access", f"{name} reads access {instr.args[0]} of {len(op.accesses)}"


def _access(op: Op, number: int, access: Access) -> Found:
    name, rank = f"access {number}", len(access.shape)
    if len(access.offsets) != rank or rank > MAX_RANK or any(size < 1 for size in access.shape):
        yield (
            "shape",
            f"{name} has dimensions {access.shape} and offsets {access.offsets}; one offset a positive dimension",
        )
        return
    known = len(op.shape) + len(op.domain)
    for term in access.terms:
        if term.dimension >= rank or not (term.var < known or term.var == ITERATION):
            yield (
                "term",
                f"{name} adds variable {term.var} to dimension {term.dimension} of {rank}; there are {known} variables",
            )
            return
    if access.stack and (rank == 0 or isinstance(access.source, Constant)):
        yield "stack", f"{name} stacks what has no iterations; only values seen with a leading dimension can be stacked"
    if access.indirect is not None:
        dimension, index = access.indirect
        if dimension >= rank or index >= len(op.accesses):
            yield (
                "indirect",
                f"{name} has access {index} of {len(op.accesses)} added to dimension {dimension} of {rank}",
            )
    if any(low < -_FAR or high > _FAR for low, high in spans(access, extents(op))):
        yield "coordinate", f"{name} has coordinates beyond 2^62; they would not be compared in 64 bits"


def _roles(op: Op) -> Found:
    """Factors and their index accesses see the domain, accesses of the code don't; look's access is its own index."""
    for factor in range(op.factors):
        chain = [factor]
        while (indirect := op.accesses[chain[-1]].indirect) is not None:
            if indirect[1] in chain:
                yield "indirect", f"access {factor} is indexed by itself (through {[*chain, indirect[1]]})"
                break
            chain.append(indirect[1])
    outer = len(op.shape)
    for instr in op.code:
        if instr.op not in (Opcode.LOAD, Opcode.GATHER):
            continue
        number = instr.args[0]
        access = op.accesses[number]
        if any(outer <= term.var != ITERATION for term in access.terms):
            yield "variable", f"access {number} is read by the code but depends on the domain"
        if instr.op is Opcode.LOAD and access.indirect is not None:
            yield "indirect", f"access {number} is loaded but indirect; read it with look"
        if instr.op is Opcode.GATHER and (access.indirect is None or access.indirect[1] != number):
            yield "indirect", f"access {number} is looked up; its indirect coordinate must name the access itself"


def _covers(access: Access, array: np.ndarray) -> bool:
    """Whether the access sees a tensor with the constant's root: the same bytes up to zero padding, in as deep a tree."""
    size = access.elements * access.dtype.size
    if access.dtype.numpy == array.dtype and size == array.nbytes:
        return True
    same_depth = depth_for(leaf_count(size)) == depth_for(leaf_count(array.nbytes))
    return same_depth and not np.frombuffer(stored_bytes(array)[size:], np.uint8).any()


def _selected(op: Op, access: Access) -> int:
    """(iteration, stacked value) pairs that the access selects among."""
    return 0 if isinstance(access.source, Constant) else op.repeat * (access.shape[0] if access.stack else 1)


def _sources(program: Program, op: Op) -> Found:
    """Findings about what the accesses read: existing constants, earlier values, equal element counts and dtypes."""
    for number, access in enumerate(op.accesses):
        name = f"access {number}"
        if isinstance(access.source, Constant):
            root = access.source.root
            array = program.constants.get(root)
            if array is None:
                yield "constant", f"{name} names constant {root.hex()[:16]}..., which the program does not hold"
            elif not _covers(access, array):
                yield (
                    "constant",
                    f"{name} sees {access.elements} {access.dtype.name}, the constant has {array.size} {array.dtype}",
                )
            continue
        if _selected(op, access) > SELECTION_LIMIT:
            yield (
                "source",
                f"{name} selects among more than {SELECTION_LIMIT:,} values over its iterations; split the loop or the stack",
            )
            continue
        values = reads(op, access)
        own = op.first + op.body * np.arange(op.repeat, dtype=np.int64)
        late = values >= own[:, None]
        if late.any():
            t, s = (int(n) for n in np.argwhere(late)[0])
            yield (
                "source",
                f"{name} reads value {int(values[t, s])} in iteration {t}; only values before {int(own[t])} exist then",
            )
            continue
        for producer in sorted(producers(program, values)):
            elements, dtype = _produced(program, producer)
            if elements != access.elements or dtype is not access.dtype:
                who = f"input {-1 - producer}" if producer < 0 else f"op {producer}"
                yield (
                    "source",
                    f"{name} sees {access.elements} {access.dtype.name} in what {who} gives as {elements} "
                    f"{dtype.name}; view it under dimensions of equal element count",
                )
