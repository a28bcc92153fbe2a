"""The audit of somebody else's program: form, intervals, cost."""

from rollup.audit.form import AuditFinding, check_form
from rollup.audit.gas import GAS_LIMIT, GAS_LIMIT_7976, GasBound, Proof, bound_of, gas_bound
from rollup.audit.intervals import OpIntervals, intervals
from rollup.audit.ranges import Range
from rollup.audit.report import AuditReport, OpAudit, audit, examine

__all__ = [
    "GAS_LIMIT",
    "GAS_LIMIT_7976",
    "AuditFinding",
    "AuditReport",
    "GasBound",
    "OpAudit",
    "OpIntervals",
    "Proof",
    "Range",
    "audit",
    "bound_of",
    "check_form",
    "examine",
    "gas_bound",
    "intervals",
]
