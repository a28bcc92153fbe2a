"""The audit names what is wrong, and its intervals and bounds hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rollup.audit.form
from prover.trace import ExecutionTrace
from rollup.audit import (
    GAS_LIMIT,
    GAS_LIMIT_7976,
    Range,
    audit,
    bound_of,
    check_form,
    examine,
    gas_bound,
    intervals,
)
from rollup.audit.prices import EIP_7976, PRAGUE
from rollup.audit.ranges import INT64, RULES
from rollup.errors import AuditError
from rollup.form.affine import producers
from rollup.form.constants import constant_root
from rollup.form.encoding import Header, TensorType
from rollup.form.ops import INSTRUCTIONS, Access, Carried, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.parts import partition
from rollup.form.program import Program, Segment
from rollup.machine.reference import run
from rollup.machine.witness import epilogue_witness, part_witness, step_witness
from rollup.types import LEAF_BYTES, DType
from tests.lockstep.programs import draw
from tests.prover import hand

ends = st.one_of(
    st.integers(-70, 70),
    st.integers(INT64.low, INT64.high),
    st.sampled_from([INT64.low, INT64.high, 0, -1, 1, 63, 64, 65, 128, 129, -64, -65]),
)
ranges = st.tuples(ends, ends).map(lambda pair: Range(*sorted(pair)))


def test_every_opcode_has_an_interval_rule() -> None:
    assert set(RULES) == set(INSTRUCTIONS) == set(Opcode)


@pytest.mark.parametrize("opcode", [o for o, spec in INSTRUCTIONS.items() if spec.exact is not None])
@given(data=st.data())
def test_interval_rules_hold_what_the_instruction_can_give(opcode: Opcode, data: st.DataObject) -> None:
    exact = INSTRUCTIONS[opcode].exact
    assert exact is not None
    arity = len(INSTRUCTIONS[opcode].operands.split())
    given_ranges = [data.draw(ranges) for _ in range(arity)]
    reach = RULES[opcode](*given_ranges)
    for _ in range(8):
        operands = [data.draw(st.one_of(st.sampled_from(r), st.integers(r.low, r.high))) for r in given_ranges]
        assert reach.low <= exact(*operands) <= reach.high


@pytest.mark.parametrize("seed", range(60))
def test_intervals_hold_every_value_of_random_programs(seed: int) -> None:
    program, inputs = draw(seed)
    values = run(program, inputs)
    proven = intervals(program)
    for value, j, _ in program.op_values():
        output = proven[j].output
        assert output.low <= values[value].min()
        assert values[value].max() <= output.high


def test_a_constant_factor_sharpens_the_sum_per_output_channel() -> None:
    draft = hand.drafted(DType.I16, (4,))
    w = np.array([[1, 1, 1, 1], [-3, 0, 0, 2]], np.int8)
    x = hand.access(Value(0), DType.I16, (4,), [{1: 1}])
    y = hand.access(draft.constant(w), DType.I8, (2, 4), [{0: 1}, {1: 1}])
    draft.add(Monoid.SUM, DType.I32, 2, (2,), (4,), [x, y])
    (reach,) = intervals(draft.program())
    assert reach.acc == Range(-3 * 32767 - 2 * 32768, 3 * 32768 + 2 * 32767)
    assert reach.magnitude == 5 * 32768


def test_clamps_narrow_what_later_ops_see() -> None:
    draft = hand.drafted(DType.I32, (4,))
    x = hand.access(Value(0), DType.I32, (4,), [{0: 1}])
    clamp = [
        Instr(Opcode.CONST, (), -7),
        Instr(Opcode.MAX, (0, 1)),
        Instr(Opcode.CONST, (), 9),
        Instr(Opcode.MIN, (2, 3)),
    ]
    draft.add(Monoid.NONE, DType.I8, 1, (4,), (), [x], clamp)
    y = hand.access(Value(1), DType.I8, (4,), [{0: 1}])
    draft.add(Monoid.NONE, DType.I8, 2, (4,), (), [y, y])
    first, second = intervals(draft.program())
    assert first.output == Range(-7, 9)
    assert second.acc == Range(-63, 81)


def _clean() -> Program:
    return hand.recurrent(3, 4)


def _op(program: Program, number: int = 0, **changes: object) -> Program:
    ops = list(program.ops)
    ops[number] = replace(ops[number], **changes)  # type: ignore[arg-type]
    return replace(program, ops=tuple(ops))


def _access(program: Program, number: int, **changes: object) -> Program:
    accesses = list(program.ops[0].accesses)
    accesses[number] = replace(accesses[number], **changes)  # type: ignore[arg-type]
    return _op(program, accesses=tuple(accesses))


def _header(program: Program, **changes: object) -> Program:
    return replace(program, header=replace(program.header, **changes))  # type: ignore[arg-type]


def _code(program: Program, *code: Instr) -> Program:
    return _op(program, code=code)


def _outputs(program: Program, value: int, tensor: TensorType) -> Program:
    return _header(program, outputs=((value, tensor),))


BROKEN: dict[str, tuple[str, Callable[[Program], Program]]] = {
    "descriptor out of order": ("order", lambda p: _op(p, 0, first=3)),
    "values overlap": ("order", lambda p: _op(p, 1, first=4)),
    "repeat of zero": ("segment", lambda p: _op(p, 0, repeat=0)),
    "body of zero": ("segment", lambda p: _op(p, 0, body=0)),
    "body cut off": ("segment", lambda p: _op(p, 0, body=3)),
    "body with another repeat": ("segment", lambda p: _op(p, 0, body=2)),
    "value count": ("values", lambda p: _header(p, values=9)),
    "no values": ("values", lambda p: Program.of(Header(p.header.policy, 0, 0, 0, (), ()), (), {})),
    "no ops": ("values", lambda p: Program.build(p.header.inputs, [(0, p.header.inputs[0])], [], {})),
    "trace depth too large": ("depth", lambda p: _header(p, trace_depth=4)),
    "tensors beyond every header": ("depth", lambda p: _op(p, shape=((1 << 32) - 1, (1 << 32) - 1))),
    "tensor depth too large": ("depth", lambda p: _header(p, tensor_depth=1)),
    "policy": ("policy", lambda p: _header(p, policy=5)),
    "no outputs": ("output", lambda p: _header(p, outputs=())),
    "output does not exist": ("output", lambda p: _outputs(p, 6, TensorType(DType.I32, 0, (4,)))),
    "output of another dtype": ("output", lambda p: _outputs(p, 5, TensorType(DType.I16, 0, (4,)))),
    "output of another size": ("output", lambda p: _outputs(p, 5, TensorType(DType.I32, 0, (5,)))),
    "output with a zero dimension": ("shape", lambda p: _outputs(p, 5, TensorType(DType.I32, 0, (0, 4)))),
    "zero dimension": ("shape", lambda p: _op(p, shape=(0,))),
    "too many dimensions": ("shape", lambda p: _op(p, shape=(1,) * 13)),
    "none with a domain": ("domain", lambda p: _op(p, monoid=Monoid.NONE)),
    "three factors": ("factors", lambda p: _op(p, factors=3)),
    "a reduction of nothing": ("factors", lambda p: _op(p, factors=0)),
    "register read before it is written": ("register", lambda p: _code(p, Instr(Opcode.ABS, (1,)))),
    "index of a domain variable": ("variable", lambda p: _code(p, Instr(Opcode.INDEX, (1,)))),
    "load of no access": ("access", lambda p: _code(p, Instr(Opcode.LOAD, (9,)))),
    "load that depends on the domain": ("variable", lambda p: _code(p, Instr(Opcode.LOAD, (0,)))),
    "look without an index": ("indirect", lambda p: _code(p, Instr(Opcode.GATHER, (2, 0)))),
    "wrong argument count": ("code", lambda p: _code(p, Instr(Opcode.ADD, (0,)))),
    "offsets of another rank": ("shape", lambda p: _access(p, 0, offsets=(0, 0))),
    "access with a zero dimension": ("shape", lambda p: _access(p, 0, shape=(0,))),
    "term of no dimension": ("term", lambda p: _access(p, 0, terms=(Term(1, 0, 1),))),
    "term of no variable": ("term", lambda p: _access(p, 0, terms=(Term(0, 2, 1),))),
    "stacked constant": ("stack", lambda p: _access(p, 1, stack=1)),
    "index that does not exist": ("indirect", lambda p: _access(p, 0, indirect=(0, 7))),
    "factor indexed by itself": ("indirect", lambda p: _access(p, 0, indirect=(0, 0))),
    "coordinates beyond 2^62": (
        "coordinate",
        lambda p: _access(
            _op(p, shape=((1 << 32) - 1,)), 0, shape=(4,), terms=tuple(Term(0, 0, (1 << 31) - 1) for _ in range(3))
        ),
    ),
    "constant of another dtype": ("constant", lambda p: _access(p, 1, dtype=DType.I8)),
    "constant of another size": ("constant", lambda p: _access(p, 1, shape=(3, 2, 2))),
    "constant that is not held": ("constant", lambda p: replace(p, constants={})),
    "value of another dtype": ("source", lambda p: _access(p, 0, dtype=DType.I8)),
    "value of another size": ("source", lambda p: _access(p, 2, shape=(3, 5))),
    "init of another size": ("source", lambda p: _access(p, 0, source=Carried(1, 1, 0))),
    "value that does not exist yet": ("source", lambda p: _access(p, 0, source=Value(2, 1))),
    "value that exists for the last iteration alone": ("source", lambda p: _access(p, 0, source=Value(2))),
    "carried from the future": ("source", lambda p: _access(p, 0, source=Carried(2, 1, 1))),
    "stack that reaches into the future": (
        "source",
        lambda p: _access(p, 2, source=Value(1), shape=(3, 4), stack=1),
    ),
    "descriptor beyond 64 KiB": (
        "encoding",
        lambda p: _op(
            p, accesses=p.ops[0].accesses[:3] + (replace(p.ops[0].accesses[2], terms=(Term(0, 0, 1),) * 255),) * 80
        ),
    ),
}


def _sum(**changes: object) -> Program:
    """A clean op that the rules of canonical form are tried on: a sum over (6, 4) of x[i] y[i], twice, with an index."""
    draft = hand.drafted(DType.I16, (6, 4), (8, 4), (6,))
    x = hand.access(Value(0), DType.I16, (6, 4), [{1: 1}, {2: 1}])
    y = hand.access(Value(1), DType.I16, (8, 4), [{}, {2: 1}], indirect=(0, 2))
    index = hand.access(Value(2), DType.I16, (6,), [{1: 1}])
    op = Op(3, 1, 1, Monoid.SUM, DType.I64, 2, (1,), (6, 4), (x, y, index), ())
    draft.ops.append(replace(op, **changes))  # type: ignore[arg-type]
    return draft.program()


def _terms(*terms: Term) -> Program:
    op = _sum().ops[0]
    return _sum(accesses=(replace(op.accesses[0], terms=terms), *op.accesses[1:]))


def _chained(links: int) -> Program:
    op = _sum().ops[0]
    index = op.accesses[2]
    chain = [replace(index, indirect=(0, 3 + n)) for n in range(links - 1)]
    return _sum(accesses=(*op.accesses[:2], *chain, index))


UNCANONICAL: dict[str, tuple[Program, str]] = {
    "zero coefficient": (_terms(Term(0, 1, 1), Term(1, 1, 0), Term(1, 2, 1)), "zero times; leave the term out"),
    "repeated term": (_terms(Term(0, 1, 1), Term(0, 1, -1), Term(1, 2, 1)), "twice; add the coefficients up"),
    "terms out of order": (_terms(Term(1, 2, 1), Term(0, 1, 1)), "sort them by dimension and variable"),
    "term on an output dimension of one": (
        _terms(Term(0, 0, 1), Term(0, 1, 1), Term(1, 2, 1)),
        "adds variable 0, which is always 0",
    ),
    "term on t of one iteration": (
        _terms(Term(0, 1, 1), Term(0, 255, 1), Term(1, 2, 1)),
        "adds variable 255, which is always 0",
    ),
    "domain dimension of one position": (_sum(domain=(6, 4, 1)), "domain dimension 2 has one position"),
    "domain dimension that nothing reads": (_sum(domain=(6, 4, 3)), "domain dimension 2 is read by no factor"),
    "chain of three indices": (_chained(3), "indexed through 3 accesses; at most 2"),
    "access that nothing reads": (_sum(accesses=(*_sum().ops[0].accesses,) * 2), "access 3 is read by nothing"),
    "monoid without a domain": (
        _sum(domain=(), accesses=tuple(replace(a, terms=()) for a in _sum().ops[0].accesses)),
        "monoid sum has no domain to reduce; use none",
    ),
    "part of more than the domain": (_sum(part=24), "part 24 cuts the domain"),
    "part between two row counts": (_sum(part=7), "write 4"),
    "body of what is executed once": (_sum(body=2), "its body is 2; a body of one iteration is 1"),
    "step of what is executed once": (
        _sum(accesses=tuple(replace(a, source=Value(a.source.base, 1)) for a in _sum().ops[0].accesses)),  # type: ignore[union-attr]
        "write step 0",
    ),
    "carried, executed once": (
        _sum(accesses=tuple(replace(a, source=Carried(0, 1, n)) for n, a in enumerate(_sum().ops[0].accesses))),
        "is carried, but there is one iteration",
    ),
    "stack of one value": (
        _sum(
            accesses=(
                replace(
                    _sum().ops[0].accesses[0],
                    shape=(1, 6, 4),
                    offsets=(0, 0, 0),
                    stack=1,
                    terms=(Term(1, 1, 1), Term(2, 2, 1)),
                ),
                *_sum().ops[0].accesses[1:],
            )
        ),
        "stacks a single value",
    ),
    "too many accesses": (_sum(accesses=(*_sum().ops[0].accesses,) * 30), "90 accesses; at most 64"),
    "too many instructions": (_sum(code=(Instr(Opcode.ABS, (0,)),) * 129), "129 instructions; at most 128"),
}


def test_the_op_for_canonical_form_is_clean() -> None:
    assert not examine(_sum()).findings
    assert not examine(_chained(2)).findings


@pytest.mark.parametrize("what", UNCANONICAL)
def test_only_the_canonical_encoding_is_well_formed(what: str) -> None:
    program, message = UNCANONICAL[what]
    with pytest.raises(AuditError) as refused:
        check_form(program)
    assert "[canonical]" in str(refused.value)
    assert message in str(refused.value)


def _hole(
    domain: tuple[int, ...], accesses: list[Access], dtype: DType = DType.I64, monoid: Monoid = Monoid.SUM
) -> Program:
    """One element over a domain, of an input of 256 i16."""
    draft = hand.drafted(DType.I16, (256,))
    draft.ops.append(Op(1, 1, 1, monoid, dtype, 1, (1,), domain, tuple(accesses), ()))
    return draft.program()


def _plain(*terms: Term, **more: object) -> Access:
    return Access(Value(0), DType.I16, (256,), (0,), terms, **more)  # type: ignore[arg-type]


def _scattered() -> Program:
    """Rows of a table that an index scatters, each of two pieces with a leaf's border between them wherever it begins."""
    table = np.ones(8 * 3072, np.int8)
    root = constant_root(table)
    steps = (Term(1, 1, 256), Term(1, 2, 1023))
    rows = Access(Constant(root), DType.I8, (8, 3072), (-1, 0), steps, 0, (0, 1))
    index = Access(Value(0), DType.I8, (1024,), (0,), (Term(0, 1, 1),))
    op = Op(1, 1, 1, Monoid.SUM, DType.I64, 1, (128,), (8, 2), (rows, index), ())
    inputs, outputs = [TensorType(DType.I8, 0, (1024,))], [(1, TensorType(DType.I64, 0, (128,)))]
    return Program.build(inputs, outputs, [op], {root: table})


HOLES: dict[str, tuple[Program, str]] = {
    "rows that an index scatters, moved by single steps inside a part": (
        _scattered(),
        "[gas] op 0 (op 0): a proof of kind step can cost",
    ),
    "rows of a domain dimension that nothing reads": (
        _hole((80_000, 2), [_plain(Term(0, 2, 1))]),
        "[canonical] op 0 (op 0): domain dimension 0 is read by no factor",
    ),
    "the same under a maximum": (
        _hole((11_000, 2), [_plain(Term(0, 2, 1))], DType.I16, Monoid.MAX),
        "[canonical] op 0 (op 0): domain dimension 0 is read by no factor",
    ),
    "stride 0 taken for adjacent": (
        _hole((180_000,), [_plain()]),
        "[canonical] op 0 (op 0): domain dimension 0 is read by no factor",
    ),
    "a variable that is always 0 hides the stride": (
        _hole((20_000, 1), [_plain(Term(0, 1, 1))]),
        "[canonical] op 0 (op 0): domain dimension 1 has one position",
    ),
    "many terms on a factor that is filled": (
        _hole((800,), [_plain(*[Term(0, 1, 1), Term(0, 1, -1)] * 20, Term(0, 1, 1), fill=1)]),
        "[canonical] op 0 (op 0): access 0 adds variable 1 to dimension 0 twice",
    ),
    "a chain of 40 indices": (
        _hole((256,), [*(_plain(Term(0, 1, 1), indirect=(0, n)) for n in range(1, 41)), _plain(Term(0, 1, 1))]),
        "[canonical] op 0 (op 0): access 0 is indexed through 40 accesses",
    ),
    "rows that are read, one by one": (
        _hole((40_000, 2), [_plain(Term(0, 1, 1), Term(0, 2, 1))]),
        "[gas] op 0 (op 0): a proof of kind step can cost",
    ),
    "elements whose place an index says": (
        _hole((256,), [_plain(Term(0, 1, 1), indirect=(0, 1)), _plain(Term(0, 1, 1))]),
        "[gas] op 0 (op 0): a proof of kind step can cost",
    ),
}
"""What was once accepted far below its real gas."""


@pytest.mark.parametrize("what", HOLES)
def test_no_descriptor_costs_more_than_a_bound_says(what: str) -> None:
    program, message = HOLES[what]
    with pytest.raises(AuditError) as refused:
        audit(program)
    assert message in str(refused.value)


@pytest.mark.parametrize("what", BROKEN)
def test_malformed_program_is_refused_by_the_rule(what: str) -> None:
    rule, damage = BROKEN[what]
    program = damage(_clean())
    found = examine(program).findings
    assert rule in {finding.rule for finding in found}
    with pytest.raises(AuditError, match=rf"\[{rule}\]"):
        check_form(program)


def test_clean_program_passes_and_reports_every_op() -> None:
    report = examine(_clean())
    check_form(_clean())
    assert [op.shape for op in report.ops] == [(4,), (4,)]
    assert {finding.rule for finding in report.findings} == {"overflow"} or report.ok
    text = str(report)
    assert _clean().id.hex() in text
    assert "gas bound" in text


@pytest.mark.parametrize("seed", range(100))
def test_random_programs_are_well_formed(seed: int) -> None:
    program, _ = draw(seed)
    check_form(program)


def _single(code: list[Instr], dtype: DType = DType.I64, domain: tuple[int, ...] = ()) -> Program:
    draft = hand.drafted(DType.I32, (2, *domain))
    x = hand.access(Value(0), DType.I32, (2, *domain), [{0: 1}, *({1 + d: 1} for d in range(len(domain)))])
    draft.add(Monoid.SUM if domain else Monoid.NONE, dtype, 2, (2,), domain, [x, x], code)
    return draft.program()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (_single([]), None),
        (_single([], DType.I32), "does not fit i32; clamp it"),
        (_single([Instr(Opcode.MUL, (0, 0))]), r"instruction 0 \(mul\) can give 2\^124"),
        (_single([Instr(Opcode.MUL, (0, 0)), Instr(Opcode.CONST, (), 3)]), None),
        (_single([], domain=(9,)), r"the sum can be 2\^65"),
        (_single([Instr(Opcode.CONST, (), 5)], domain=(9,)), None),
    ],
)
def test_overflow_is_found_where_it_matters(program: Program, message: str | None) -> None:
    if message is None:
        assert audit(program).ok
        return
    with pytest.raises(AuditError, match=rf"\[overflow\].*{message}"):
        audit(program)


def test_reads_that_can_leave_are_reported_not_refused() -> None:
    report = examine(hand.pooling(Monoid.MAX, 2, 2, 0))
    assert report.ok
    assert report.ops[0].fills == (0,)
    assert report.ops[0].intervals.accesses[0] == Range(-32768, 32767)


def _long(length: int, stride: int = 1, part: int = 0) -> Program:
    draft = hand.drafted(DType.I16, (length * stride,), (length * stride,))
    accesses = [hand.access(Value(v), DType.I16, (length * stride,), [{1: stride}]) for v in (0, 1)]
    draft.add(Monoid.SUM, DType.I64, 2, (1,), (length,), accesses)
    return _op(draft.program(), part=part)


def test_a_reduction_of_any_length_and_stride_passes_in_parts() -> None:
    assert audit(_long(1_024)).ok
    for program, part in ((_long(16_384), 512), (_long(1 << 20), 512), (_long(128, stride=512), 4)):
        with pytest.raises(AuditError, match=r"\[gas\].*kind step.*name a part of its domain"):
            audit(program)
        assert audit(_op(program, part=part)).ok
    with pytest.raises(AuditError, match=r"\[gas\].*kind part can cost .* 64 gas a byte.*make the part smaller"):
        audit(_long(16_384, part=8_192))


def test_a_bound_is_that_of_the_dearest_of_its_proofs() -> None:
    program = _long(16_384, part=512)
    bound = gas_bound(program.ops[0], program)
    assert [proof.kind for proof in bound.proofs] == ["padding", "descend", "part", "epilogue"]
    assert bound.gas == max(proof.under(PRAGUE) for proof in bound.proofs) <= GAS_LIMIT
    assert bound.gas_7976 == max(proof.under(EIP_7976) for proof in bound.proofs) <= GAS_LIMIT_7976
    assert bound.fits
    assert not gas_bound(_long(16_384).ops[0], program).fits


def test_a_bound_needs_the_depths_alone_and_grows_with_them() -> None:
    program = _long(1_024)
    op, header = program.ops[0], program.header
    here = bound_of(op, header.trace_depth, header.tensor_depth, program.tree.depth)
    assert here == gas_bound(op, program)
    deeper = bound_of(op, header.trace_depth + 9, header.tensor_depth, program.tree.depth + 3)
    assert deeper.gas > here.gas
    assert deeper.calldata > here.calldata


def test_gas_grows_with_the_reduction() -> None:
    found = [gas_bound(program.ops[0], program).gas for program in map(_long, (16, 1024, 4096, 16_384))]
    assert found == sorted(found)
    assert found[0] < 400_000


@pytest.mark.parametrize("seed", range(20))
def test_calldata_bound_holds_the_real_witnesses(seed: int) -> None:
    program, inputs = draw(seed)
    trace = ExecutionTrace.of(program, inputs)
    values = list(trace.values())
    compared = 0
    for value, j, _ in program.op_values():
        op = program.ops[j]
        bound = gas_bound(op, program).calldata
        for position in range(0, op.elements, max(1, op.elements // 4)):
            per_leaf = LEAF_BYTES // op.dtype.size
            leaf = (value << program.header.tensor_depth) + position // per_leaf
            data = trace.tree.leaf_bytes(leaf)
            at = position % per_leaf
            if op.part:
                witnesses = [
                    part_witness(program, values, trace.tree, leaf, at, partition(op).count - 1),
                    epilogue_witness(program, values, trace.tree, leaf, data, at, 3),
                ]
            else:
                witnesses = [step_witness(program, values, trace.tree, leaf, data, at)]
            assert max(map(len, witnesses)) <= bound
            compared += 1
    assert compared >= 4


def test_findings_name_the_op_and_all_are_listed() -> None:
    draft = hand.drafted(DType.I8, (4,))
    x = hand.access(Value(0), DType.I8, (4,), [{0: 1}])
    bad = Access(Value(7), DType.I8, (4,), (0,))
    draft.ops = [
        Op(1, 1, 1, Monoid.NONE, DType.I8, 1, (4,), (), (bad,), ()),
        Op(2, 1, 1, Monoid.NONE, DType.I8, 1, (4,), (2,), (x,), ()),
    ]
    program = replace(draft.program(), names=("conv @ model.py:7", "relu"))
    with pytest.raises(AuditError, match=r"\[source\] op 0 \(conv @ model\.py:7\).*\[domain\] op 1 \(relu\)"):
        audit(program)


def test_absurd_boxes_and_selections_are_refused_without_being_enumerated() -> None:
    draft = hand.drafted(DType.I8, (4,))
    x = hand.access(Value(0), DType.I8, (4,), [{}])
    draft.add(Monoid.ARGMAX, DType.I64, 1, (), (1 << 31, 1 << 31), [x])
    with pytest.raises(AuditError, match=r"\[domain\] .* positions; at most"):
        check_form(draft.program())
    looped = Op(1, 1, 1 << 23, Monoid.NONE, DType.I8, 1, (4,), (), (replace(x, terms=(Term(0, 0, 1),)),), ())
    header = draft.program().header
    many = replace(header, values=(1 << 23) + 1, trace_depth=24, outputs=((1, TensorType(DType.I8, 0, (4,))),))
    with pytest.raises(AuditError, match=r"\[source\] .* selects among more than"):
        check_form(Program.of(many, (looped,), {}))


def test_an_audit_ends_however_many_values_a_program_selects_among(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rollup.audit.form.PROGRAM_SELECTION_LIMIT <= 1 << 24, "seconds; each value is looked at"
    monkeypatch.setattr(rollup.audit.form, "PROGRAM_SELECTION_LIMIT", 1_500)
    read = tuple(Access(Value(v), DType.I8, (4,), (0,), (Term(0, 0, 1),)) for v in range(3))
    code = tuple(Instr(Opcode.LOAD, (v,)) for v in range(3))
    inputs, each = [TensorType(DType.I8, 0, (4,))] * 3, 400
    ops = [Op(3 + j * each, 1, each, Monoid.NONE, DType.I8, 0, (4,), (), read, code) for j in range(2)]
    program = Program.build(inputs, [(3, TensorType(DType.I8, 0, (4,)))], ops, {})
    with pytest.raises(AuditError, match=r"\[source\] op 1 .* select among 2,400 values .* at most 1,500 in all"):
        check_form(program)


class _Watched(tuple[Segment, ...]):
    """Segments that are taken one by one, never all of them."""

    taken = 0

    def __getitem__(self, at: object) -> Segment:  # type: ignore[override]
        type(self).taken += 1
        return super().__getitem__(at)  # type: ignore[index]

    def __iter__(self) -> Iterator[Segment]:
        raise AssertionError("every segment is looked at")


def test_who_gives_a_value_is_found_without_looking_at_every_segment() -> None:
    x = Access(Value(0), DType.I8, (4,), (0,), (Term(0, 0, 1),))
    ops = [Op(1 + 2 * j, 1, 2, Monoid.NONE, DType.I8, 1, (4,), (), (x,), ()) for j in range(500)]
    program = Program.build([TensorType(DType.I8, 0, (4,))], [(1, TensorType(DType.I8, 0, (4,)))], ops, {})
    assert len(program.segment_starts) == 500
    program.__dict__["segments"] = _Watched(program.segments)
    assert producers(program, [0, 1, 2, 7, 999, 1000]) == {-1, 0, 3, 499}
    assert _Watched.taken == 3


def test_a_small_constant_seen_over_a_huge_box_is_bounded_by_its_extremes() -> None:
    draft = hand.drafted(DType.I8, (4,))
    x = hand.access(Value(0), DType.I8, (4,), [{}])
    y = hand.access(draft.constant(np.array([1, 2], np.int8)), DType.I8, (2,), [{0: 1, 1: 1}])
    draft.add(Monoid.SUM, DType.I64, 2, (), (1 << 13, 1 << 13), [x, y])
    (reach,) = intervals(draft.program())
    assert reach.acc.magnitude == 2 * 128 * (1 << 26)
