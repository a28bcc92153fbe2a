"""An executor that was tested on this machine, now or in an earlier start."""

from __future__ import annotations

from prover.executor import Executor
from prover.start.starts import SELF_TEST, Starts
from rollup.form.program import Program


def tested(program: Program, starts: Starts) -> Executor:
    """The program's executor. Raises AuditError if the program is not well-formed, InexactMachine if it is not exact here."""
    executor = Executor(program, self_test=False, code=starts.code, weights=starts.weights)
    starts.once(program.id, SELF_TEST, executor.self_test)
    return executor
