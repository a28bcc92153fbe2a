"""The audit of somebody else's program: form, intervals, cost."""

from rollup.audit.form import Finding, check_form
from rollup.audit.gas import CALLDATA_LIMIT, GAS_LIMIT, GasBound, gas_bound
from rollup.audit.intervals import OpIntervals, Range, intervals
from rollup.audit.report import AuditReport, OpAudit, audit, examine

__all__ = [
    "CALLDATA_LIMIT",
    "GAS_LIMIT",
    "AuditReport",
    "Finding",
    "GasBound",
    "OpAudit",
    "OpIntervals",
    "Range",
    "audit",
    "check_form",
    "examine",
    "gas_bound",
    "intervals",
]
