"""The audit: is this program safe to trust and to adjudicate?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rollup.audit.form import AuditFinding, form, refuse, sentence
from rollup.audit.gas import GAS_LIMIT, GAS_LIMIT_7976, GasBound, gas_bound
from rollup.audit.intervals import OpIntervals, intervals
from rollup.audit.prices import EIP_7976, PRAGUE
from rollup.form.affine import extents, stays_inside
from rollup.form.program import Program


@dataclass(frozen=True)
class OpAudit:
    """What the audit knows about one descriptor. ``fills``: accesses whose reads can leave their operand and meet
    ``fill``.
    """

    name: str
    monoid: str
    dtype: str
    shape: tuple[int, ...]
    domain: tuple[int, ...]
    part: int
    repeat: int
    fills: tuple[int, ...]
    intervals: OpIntervals
    bound: GasBound


@dataclass(frozen=True)
class AuditReport:
    """The ops with their bounds, and the findings; ``ok`` if there are none. ``str`` gives a table for people.

    ``ops`` is empty if the program is not well-formed: nothing can be said about such ops.
    """

    program: Program
    ops: tuple[OpAudit, ...]
    findings: tuple[AuditFinding, ...]

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def gas(self) -> int:
        """The most that any proof can cost under Prague's rules."""
        return max((op.bound.gas for op in self.ops), default=0)

    @property
    def gas_7976(self) -> int:
        """The most that any proof can cost where a byte of calldata costs 64 gas."""
        return max((op.bound.gas_7976 for op in self.ops), default=0)

    @property
    def calldata(self) -> int:
        """The largest witness transaction, in bytes."""
        return max((op.bound.calldata for op in self.ops), default=0)

    def __str__(self) -> str:
        header = (
            "op",
            "name",
            "monoid",
            "dtype",
            "shape",
            "domain",
            "times",
            "acc bits",
            "part",
            "gas bound",
            "at 64 a byte",
            "calldata",
            "findings",
        )
        rows = [header]
        for j, op in enumerate(self.ops):
            mine = sorted({finding.rule for finding in self.findings if finding.descriptor == j})
            acc = op.intervals.acc
            bits = max(abs(acc.low), abs(acc.high)).bit_length() + 1
            rows.append(
                (
                    str(j),
                    op.name,
                    op.monoid,
                    op.dtype,
                    _dims(op.shape),
                    _dims(op.domain),
                    str(op.repeat),
                    str(bits),
                    f"{op.part:,}" if op.part else "-",
                    f"{op.bound.gas:,}",
                    f"{op.bound.gas_7976:,}",
                    f"{op.bound.calldata:,}",
                    ", ".join(mine) or "-",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        if not self.ops:
            lines = []
        lines.append("")
        lines.append(f"model {self.program.id.hex()}")
        if self.ops:
            lines.append(
                f"dearest proof {self.gas:,} gas (limit {GAS_LIMIT:,}), at 64 gas a byte of calldata "
                f"{self.gas_7976:,} (limit {GAS_LIMIT_7976:,}), largest {self.calldata:,} bytes"
            )
        lines += [sentence(self.program, finding) for finding in self.findings] or ["no findings"]
        return "\n".join(lines)


def _dims(dims: tuple[int, ...]) -> str:
    return "x".join(map(str, dims)) or "-"


_REMEDIES: Mapping[str, str] = {
    "step": "name a part of its domain in the descriptor",
    "part": "make the part smaller",
    "epilogue": "split the op",
    "descend": "split the op",
    "padding": "split the op",
}


def dear(bound: GasBound) -> Iterator[str]:
    """By proof that is dearer than the limits, a sentence with the remedy."""
    for proof in bound.proofs:
        for gas, limit, rules in (
            (proof.under(PRAGUE), GAS_LIMIT, "under Prague's rules"),
            (proof.under(EIP_7976), GAS_LIMIT_7976, "at 64 gas a byte of calldata"),
        ):
            if gas > limit:
                remedy = _REMEDIES[proof.kind]
                yield f"a proof of kind {proof.kind} can cost {gas:,} gas {rules}, the limit is {limit:,}; {remedy}"


def examine(program: Program) -> AuditReport:
    """The report of the audit, findings and all; raises nothing that a bad program causes."""
    broken = form(program)
    if broken:
        return AuditReport(program, (), tuple(broken))
    findings: list[AuditFinding] = []
    ops = []
    for j, (op, reach) in enumerate(zip(program.ops, intervals(program), strict=True)):
        bound = gas_bound(op, program)
        findings += [AuditFinding("overflow", j, message) for message in reach.overflows]
        findings += [AuditFinding("gas", j, message) for message in dear(bound)]
        sizes = extents(op)
        fills = tuple(n for n, access in enumerate(op.accesses) if access.indirect or not stays_inside(access, sizes))
        names = program.name(j), op.monoid.name.lower(), op.dtype.name.lower()
        ops.append(OpAudit(*names, op.shape, op.domain, op.part, op.repeat, fills, reach, bound))
    return AuditReport(program, tuple(ops), tuple(findings))


def audit(program: Program) -> AuditReport:
    """The report of a program that passes; raises AuditError that lists every finding by name otherwise."""
    report = examine(program)
    refuse(program, list(report.findings))
    return report
