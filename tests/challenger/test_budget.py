"""What one check may take: what a deployment's periods leave, and programs that can't fit into it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from challenger.checkers.budget import LONGEST_SECONDS, SHORTEST_SECONDS, Budget, machine_memory
from challenger.checkers.checks import TooLarge
from challenger.checkers.files import file_bytes, map_trace, write_trace
from challenger.play.trace import ValueTrace
from rollup.audit import audit
from rollup.errors import AuditError, CommitmentError
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Monoid, Op, Term, Value
from rollup.form.program import Program
from rollup.service.fetch import FetchLimits, _check_cost, cost_of
from rollup.settings import Parameters
from rollup.types import DType, Duration
from tests.e2e.lies import PROGRAMS, RIGHT

GIB = 1 << 30
SPEED = 1.5e10
"""Steps a second of a product on two cores."""

WINDOW, CLOCK = Duration(3600), Duration(1800)
BUDGET = Budget.of(Parameters(window=WINDOW, clock=CLOCK), memory=8 * GIB)


def deep(rows: int, repeat: int, domain: int = 256) -> Program:
    """A kilobyte of descriptors for ``repeat * rows * domain`` steps and ``repeat * rows * 4`` bytes: every product gathers."""
    x = Access(Value(0), DType.I16, (domain,), (0,), (Term(0, 1, 1),), 1, (0, 1))
    i = Access(Value(0), DType.I16, (domain,), (0,), (Term(0, 0, 1), Term(0, 1, 1)), 0)
    part = 16 if domain > 16 else 0
    op = Op(1, 1, repeat, Monoid.SUM, DType.I32, 1, (rows,), (domain,), (x, i), (), part)
    return Program.build([TensorType(DType.I16, 0, (domain,))], [(1, TensorType(DType.I32, 0, (rows,)))], [op], {})


def test_a_check_gets_a_share_of_the_challenge_period_and_of_the_clock() -> None:
    assert BUDGET.seconds == CLOCK / 4 == WINDOW / 8
    assert Budget.of(Parameters(window=WINDOW, clock=Duration(400))).seconds == 100
    week = Parameters(window=Duration(7 * 86400), clock=Duration(3 * 86400))
    assert Budget.of(week).seconds == LONGEST_SECONDS and Budget.of(week, longest=7200.0).seconds == 7200
    # Of a network for a demonstration.
    assert Budget.of(Parameters(window=Duration(30), clock=Duration(10))).seconds == SHORTEST_SECONDS


def test_all_checks_together_fit_into_the_machine() -> None:
    for processes in (1, 2, 8):
        assert Budget.of(Parameters(), processes).memory * processes < machine_memory()


def test_a_check_that_takes_many_times_what_it_took_before_has_stalled() -> None:
    assert BUDGET.first_try(0.01) == 20 and BUDGET.first_try(3.0) == 60 and BUDGET.first_try(100.0) == BUDGET.seconds


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (deep(1 << 18, (1 << 13) - 1), "bytes of memory"),
        (deep(1 << 18, 1 << 11, 1 << 15), "steps, more than"),
        (deep(1 << 17, 1 << 5, 1 << 22), "steps, more than"),
    ],
    ids=["2^39 steps and 8 GiB", "2^44 steps and 2 GiB", "2^44 steps and 16 MiB"],
)
def test_a_small_file_that_stands_for_hours_is_refused_before_anything_is_run(program: Program, why: str) -> None:
    assert cost_of(program).steps >= (1 << 39) - (1 << 26)
    with pytest.raises(TooLarge, match=f"is too large to be watched here: one check of it .*{why}.* are allowed"):
        BUDGET.refuse(program, SPEED)
    assert not BUDGET.fits_anyway(program)


@pytest.mark.parametrize("program", [deep(1, 1, 1 << 25), deep(1 << 27, 1, 1)], ids=["element", "value"])
def test_a_dispute_that_would_hold_up_all_games_is_refused(program: Program) -> None:
    """One element of 2^32 positions is checked in seconds; its partial results would fill the watcher's own memory."""
    with pytest.raises(TooLarge, match="a dispute would be about an element of"):
        BUDGET.refuse(program, math.inf)


def test_whoever_can_cover_a_large_program_may() -> None:
    program = deep(1 << 18, (1 << 13) - 1)
    week = Parameters(window=Duration(7 * 86400), clock=Duration(3 * 86400))
    budget = Budget.of(week, longest=1e6, memory=64 * GIB)
    budget.refuse(program, SPEED)
    with pytest.raises(TooLarge, match=r"takes 7200.0 s here, 225 s are allowed"):
        BUDGET.refuse_measured(program, 7200.0)
    budget.refuse_measured(program, 7200.0)
    _check_cost(program, FetchLimits.within(budget.seconds, budget.trace_bytes))


def test_what_is_fetched_for_a_watcher_that_does_not_measure_can_be_checked_in_time() -> None:
    """2^39 steps that gather take two hours; they passed for whoever had one."""
    program = deep(1 << 18, 1 << 10)
    assert audit(program) is not None and cost_of(program).trace_bytes == GIB + 512
    _check_cost(program, FetchLimits())
    with pytest.raises(AuditError, match="are allowed for what is fetched; give its folder with --models"):
        _check_cost(program, FetchLimits.within(BUDGET.seconds, BUDGET.trace_bytes))


def test_a_program_that_anybody_can_run_needs_no_measurement() -> None:
    for program in PROGRAMS.values():
        assert BUDGET.fits_anyway(program)
        BUDGET.refuse(program, math.inf)


def test_a_trace_file_of_another_size_is_refused(tmp_path: Path) -> None:
    program = next(iter(PROGRAMS.values()))
    path = tmp_path / "one.trace"
    write_trace(ValueTrace(program, RIGHT), path)
    assert path.stat().st_size == file_bytes(program)
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(CommitmentError, match="a trace's file has"):
        map_trace(program, path)
