"""Checks in processes: whatever a claim does to the one that runs it, the others are checked, and games are played."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from challenger.checkers import budget as budgets
from challenger.checkers import pool as pools
from challenger.checkers import schedule
from challenger.checkers.budget import Budget
from challenger.checkers.checks import CheckFailed, Done, Order, TooLarge, Urgency
from challenger.checkers.inline import Inline
from challenger.checkers.notes import Notes
from challenger.checkers.pool import Pool
from challenger.checkers.process import Process
from challenger.checkers.re_execute import Finding, ReExecute, Reference
from challenger.checkers.schedule import Loaded, Running
from challenger.checkers.worker import SPARE_SECONDS, bound_time
from challenger.defender import Behaviour
from challenger.play.trace import ValueTrace
from challenger.reports.alerts import Kind
from challenger.watch.modes import WatchConfiguration, WatchMode
from challenger.watch.watcher import Watcher
from prover.executor import batches
from prover.start.place import private
from rollup.audit import audit
from rollup.claim import NO_ROOT, Address, Claim, ClaimId
from rollup.errors import ClaimError, EncodingError, InexactMachine
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.answers import ClaimStatus
from rollup.native.load import SWITCH
from rollup.service.fetch import cost_of
from rollup.types import ModelId, Root
from tests.challenger.hostile_machines import BATCHING, HOSTILE, STALLING, Trap
from tests.challenger.test_budget import deep
from tests.challenger.test_re_execute import claimed
from tests.challenger.test_watcher import Told
from tests.e2e.lies import INPUTS, PROGRAMS, RIGHT, lie_in_op
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import toy_inputs, values_of
from tests.world import ETHER, TERMS, sign_bytes

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
REFERENCE = "challenger.checkers.re_execute:Reference"
PATIENCE = 120.0
MEMORY = 512 << 20
SHORT = Budget(5.0, MEMORY, MEMORY // 2)
LONG = replace(SHORT, seconds=PATIENCE)
ROOT = ValueTrace(PROGRAM, RIGHT).root
CLAIM, IN, OUT = claimed(PROGRAM, RIGHT, ROOT)


@contextmanager
def pool_of(machine: str = REFERENCE, budget: Budget = LONG, **options: object) -> Iterator[Pool]:
    pool = Pool(budget, machine=machine, **options)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        pool.close()


def order(number: int = 1, urgency: Urgency = Urgency.FRESH, trace: bool = False, data: bytes = b"") -> Order:
    """About the right claim of the toy, or another input."""
    return Order(ClaimId(bytes([number]) * 32), CLAIM, data or INPUT, OUT, urgency, trace)


INPUT = b"".join(array.tobytes() for array in INPUTS)


def trapped(trap: Trap) -> list[np.ndarray]:
    inputs = toy_inputs(int(trap))
    inputs[0][0] = trap
    return inputs


def data_of(trap: Trap) -> bytes:
    return b"".join(array.tobytes() for array in trapped(trap))


def one(pool: Pool) -> Done:
    """The next thing that is done."""
    found = pool.done(PATIENCE)
    assert len(found) == 1
    return found[0]


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)


def until_convicted(network: NetworkWorld, watcher: Watcher, pool: Pool, lie: Claimed) -> None:
    """Rounds as the service makes them, while L1's time passes with what is done there."""
    woken = threading.Event()
    pool.wake = woken.set
    deadline = time.monotonic() + PATIENCE
    while network.status(lie) is not ClaimStatus.INVALID:
        assert time.monotonic() < deadline, f"the lie stands: {watcher.troubles}"
        woken.clear()
        if watcher.poll() or lie.defender.poll():
            network.chain.advance(5)
        else:
            woken.wait(1.0)


def huge_program() -> Program:
    small = deep(1 << 14, 1 << 17, 1 << 13)
    return Program.build(small.header.inputs, small.header.outputs, [replace(small.ops[0], part=4)], {})


def post(network: NetworkWorld, program: Program, outputs: bytes) -> ClaimId:
    """A claim about zeros that nobody computed."""
    client, header = network.client("huge", deposit=ETHER), program.header
    inputs = bytes(sum(tensor.bytes for tensor in header.inputs))
    claim_id = network.sequencer.submit(sign_bytes(client, header, inputs, outputs, model_id=program.id))
    network.sequencer.flush()
    return claim_id


def gone(pid: int) -> bool:
    """Whether the process is no more, or nobody but its parent knows of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# What a claim may do to the process that checks it


def test_a_lie_beside_claims_that_crash_stall_and_fill_their_checker_is_convicted_in_time() -> None:
    network, told = NetworkWorld(PROGRAM), Told()
    with pool_of(HOSTILE, SHORT) as pool:
        watcher = Watcher(network.client("watcher"), network.traces, admit=network.admit, alert=told, checks=pool)
        watcher.hold(network.program)
        network.watchers.append(watcher)
        traps = [network.claim(trap.name, trapped(trap)) for trap in (Trap.STALL, Trap.FILL, Trap.CRASH)]
        lie = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
        until_convicted(network, watcher, pool, lie)
        assert network.chain.now() < watcher.l1.posted_at[0] + TERMS.window
        assert lie.claim_id not in watcher.troubles
        eventually(lambda: watcher.poll() or all(trap.claim_id in watcher.troubles for trap in traps), "their troubles")
        words = [str(watcher.troubles[trap.claim_id]) for trap in traps]
        assert all(isinstance(watcher.troubles[trap.claim_id], CheckFailed) for trap in traps)
        assert "more than the 5 s" in words[0] and "bytes of memory" in words[1] and "SIGKILL" in words[2]
        about = {alert.claim_id for alert in told.about(Kind.TROUBLE)}
        assert about == {trap.claim_id for trap in traps}
        # What failed waits behind what is fresh.
        fresh = network.claim("honest", toy_inputs(1))
        watcher.l1.read(network.client("watcher"))
        assert watcher.unchecked()[0] == fresh.claim_id


def test_a_check_that_stalls_is_ended_when_its_time_is_over_and_nothing_else() -> None:
    with pool_of(HOSTILE, SHORT, processes=1) as pool:
        pool.take(pool.prepare(PROGRAM))
        pool.submit(order(1, data=data_of(Trap.STALL)))
        pool.submit(order(2))
        stalled, checked = one(pool), one(pool)
    assert isinstance(stalled.answer, CheckFailed) and "more than the 5 s that it may take" in str(stalled.answer)
    assert checked.order.claim_id == bytes([2]) * 32 and isinstance(checked.answer, Finding) and checked.answer.honest


@pytest.mark.parametrize(
    ("trap", "words"),
    [(Trap.CRASH, "SIGKILL"), (Trap.FILL, "bytes of memory"), (Trap.CONFUSE, "RuntimeError: some library")],
)
def test_what_ends_a_worker_is_told_and_the_next_claim_is_checked(trap: Trap, words: str) -> None:
    with pool_of(HOSTILE, processes=1) as pool:
        pool.take(pool.prepare(PROGRAM))
        pool.submit(order(1, data=data_of(trap)))
        failed = one(pool)
        pool.submit(order(2))
        assert isinstance(one(pool).answer, Finding)
        assert isinstance(failed.answer, CheckFailed) and words in str(failed.answer)
        assert pool.failures(failed.order.claim_id) == 1 and pool.failures(ClaimId(bytes([2]) * 32)) == 0


def test_what_a_library_prints_is_no_answer() -> None:
    with pool_of(HOSTILE, processes=1) as pool:
        pool.take(pool.prepare(PROGRAM))
        pool.submit(order(1, data=data_of(Trap.CHATTER)))
        assert isinstance(one(pool).answer, Finding)


def test_a_worker_that_was_killed_while_it_waited_costs_no_claim_its_check() -> None:
    with pool_of(processes=1) as pool:
        pool.take(pool.prepare(PROGRAM))
        ((_, process),) = pool._shared.idle
        os.kill(process.pid, signal.SIGKILL)
        eventually(lambda: not process.alive, "it is gone")
        pool.submit(order())
        assert isinstance(one(pool).answer, Finding)


# What is found


def test_a_worker_finds_what_the_checker_finds_and_its_trace_is_mapped() -> None:
    with pool_of() as pool:
        pool.take(pool.prepare(PROGRAM))
        pool.submit(order(1))
        right = one(pool).answer
        assert isinstance(right, Finding) and right.honest and "the same trace" in right.reason
        pool.submit(replace(order(2), outputs=bytes(len(OUT))))
        wrong = one(pool).answer
        assert isinstance(wrong, Finding) and not wrong.honest and "is claimed as 0" in wrong.reason
        pool.submit(order(3, trace=True))
        trace = one(pool).answer
        pool.submit(order(4, trace=True, data=INPUT[:-1]))
        assert isinstance(one(pool).answer, ClaimError)
        folder = pool._folder
        assert [path.suffix for path in folder.iterdir()] == [""]
    assert not folder.exists()
    # It needs neither the worker nor the file's name any more.
    assert isinstance(trace, ValueTrace) and trace.roots is not None and trace.root == ROOT
    own = ValueTrace(PROGRAM, RIGHT)
    assert [trace.leaf_bytes(leaf) for leaf in range(12)] == [own.leaf_bytes(leaf) for leaf in range(12)]
    for mapped, value in zip(trace.values, RIGHT, strict=True):
        assert mapped.dtype == value.dtype and np.array_equal(mapped, value)


def test_a_folder_that_holds_another_program_by_now_is_not_run(tmp_path: Path) -> None:
    PROGRAM.save(tmp_path / "toy")
    with pool_of(processes=1) as pool:
        tested = pool.prepare(PROGRAM, tmp_path / "toy")
        pool.take(tested)
        ((_, process),) = pool._shared.idle
        os.kill(process.pid, signal.SIGKILL)
        eventually(lambda: not process.alive, "it is gone")
        PROGRAMS[TracePolicy.ON_DISPUTE].save(tmp_path / "toy")
        pool.submit(order())
        assert isinstance(one(pool).answer, EncodingError)


# What a worker may


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def test_a_worker_knows_no_key_and_ends_with_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import sys, threading\n"
        "from challenger.checkers.process import Process\n"
        f"one = Process({REFERENCE!r}, {MEMORY}, {MEMORY})\n"
        "print(one.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    monkeypatch.setenv("TOUCHSTONE_KEY", "0x" + "11" * 32)
    monkeypatch.setenv(SWITCH, "0")
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        # Empty for the moment in which the new program replaces the old one.
        eventually(lambda: environ_of(pid), "the worker's program has begun")
        environ = environ_of(pid)
    finally:
        parent.kill()
        parent.wait(PATIENCE)
        parent.stdout.close()
    assert b"PYTHONPATH" in environ and b"TOUCHSTONE_KEY" not in environ and SWITCH.encode() in environ
    eventually(lambda: gone(pid), "the worker is gone, too")


def test_whoever_closes_ends_what_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pool = Pool(LONG, folder=tmp_path / "checks", machine=HOSTILE)
    pool.take(pool.prepare(PROGRAM))
    pool.submit(order(1, data=data_of(Trap.STALL)))
    eventually(lambda: pool._shared.busy, "it is being checked")
    pids = [process.pid for process in pool._shared.busy]
    pool.close()
    assert all(gone(pid) for pid in pids) and list((tmp_path / "checks").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_needs_is_not(tmp_path: Path) -> None:
    (tmp_path / "checks-left").mkdir()
    with pool_of(folder=tmp_path, processes=1) as living:
        with pool_of(folder=tmp_path, processes=1) as other:
            assert {path.name for path in tmp_path.iterdir()} == {living._folder.name, other._folder.name}
        assert living._folder.is_dir()


# What is too large


def test_a_false_claim_about_a_model_of_hours_and_gigabytes_holds_up_no_lie_beside_it() -> None:
    """2^44 steps and 8 GiB of trace in half a kilobyte of descriptors, which the audit accepts."""
    network, told = NetworkWorld(PROGRAM), Told()
    huge = huge_program()
    cost = cost_of(huge)
    assert cost.steps == 1 << 44 and cost.trace_bytes > 8 << 30 and audit(huge)
    network.deployer.register(huge)
    with pool_of(budget=Budget.of(network.parameters, memory=4 << 30)) as pool:
        watcher = Watcher(network.client("watcher"), network.traces, admit=network.admit, alert=told, checks=pool)
        with pytest.raises(
            TooLarge, match=r"is too large to be watched here: one check of it needs .* bytes of memory"
        ):
            watcher.hold(huge)
        assert pool._shared.busy == set(), "not even a process was started"
        watcher.hold(network.program)
        network.watchers.append(watcher)
        about = post(network, huge, bytes(1 << 16))
        lie = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
        until_convicted(network, watcher, pool, lie)
        assert watcher.l1.claims[about].claim.model_id == huge.id and about not in watcher.checked
    assert told.about(Kind.UNKNOWN_MODEL)


def test_a_model_whose_steps_take_too_long_is_refused_or_not_finished_in_time() -> None:
    """Whichever is found out first: by the machine's speed, or by trying."""
    with pool_of(budget=replace(SHORT, memory=1 << 30, trace_bytes=1 << 29)) as pool:
        with pytest.raises((TooLarge, CheckFailed), match="watched here"):
            pool.prepare(deep(1 << 17, 1 << 5, 1 << 22))
        assert pool._shared.idle == [] and pool._shared.busy == set()


def test_a_program_that_takes_longer_than_a_check_may_is_refused_when_it_is_loaded() -> None:
    quick = replace(SHORT, seconds=1.0)
    with pool_of(STALLING, quick) as pool, pytest.raises(CheckFailed, match="more than the 3 s that it may take"):
        pool.prepare(PROGRAM)


def test_a_program_is_refused_by_the_time_that_it_took_and_its_worker_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("challenger.checkers.budget.MARGIN", 1e9)
    with pool_of(processes=1) as pool:
        with pytest.raises(
            TooLarge, match=r"one check of it takes .* s here, 1\.2e-07 s are allowed; the challenge period"
        ):
            pool.prepare(PROGRAM)
        assert pool._shared.idle == [] and pool._shared.busy == set()


# Whose turn it is


class Turns:
    """A pool without threads: what it would run, at a time that stands still unless it is told."""

    def __init__(self, processes: int = 2) -> None:
        self.now = 0.0
        self.pool = Pool(LONG, 0, monotonic=lambda: self.now)
        self.pool._processes = processes

    def hold(self, number: int, check: float, most: int = 1) -> None:
        self.pool._shared.held[ModelId(Root(bytes([number]) * 32))] = Loaded(PROGRAM, Path(), check, check, most)

    def order(self, model: int, claim: int, urgency: Urgency = Urgency.FRESH, trace: bool = False) -> None:
        named = Claim(Root(bytes([model]) * 32), Address("0x" + "a1" * 20), 1, 9, bytes(32), ROOT, ROOT, NO_ROOT)
        self.pool.submit(Order(ClaimId(bytes([claim]) * 32), named, b"", b"", urgency, trace))

    def next(self) -> int | None:
        found = self.next_ones()
        return found[0] if found else None

    def next_ones(self) -> list[int]:
        """Those that are checked together next."""
        running = self.pool._next()
        return [] if running is None else [order.claim_id[0] for order in running.orders]

    def only(self, seconds: float) -> int:
        """The next one, which is checked alone, and has been."""
        (claim,) = self.next_ones()
        self.end(claim, seconds)
        return claim

    def end(self, claim: int, seconds: float) -> None:
        running: Running = next(one for one in self.pool._shared.running if one.order.claim_id[0] == claim)
        self.pool._shared.end(running, seconds)


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.pool.close()


def test_a_program_that_is_checked_slowly_delays_no_other(turns: Turns) -> None:
    turns.hold(1, 100.0)
    turns.hold(2, 100.0)
    turns.hold(3, 0.1)
    for claim in range(3):
        turns.order(1, 10 + claim)
        turns.order(2, 20 + claim)
    assert turns.next() == 10
    assert turns.next() is None, "one process is kept for short checks"
    turns.order(3, 30)
    assert turns.next() == 30
    turns.end(10, 100.0)
    # The other slow one has had less time.
    assert turns.next() == 20


def test_among_short_checks_programs_take_turns_by_the_time_that_they_took(turns: Turns) -> None:
    turns.hold(1, 1.0)
    turns.hold(2, 0.25)
    for claim in range(8):
        turns.order(1, 10 + claim)
        turns.order(2, 20 + claim)
    began = []
    for _ in range(10):
        claim = turns.next()
        assert claim is not None
        began.append(claim // 10)
        turns.end(claim, 1.0 if claim < 20 else 0.25)
    assert began.count(1) == 2 and began[0] == 2


def test_what_failed_comes_last_and_never_has_all_processes(turns: Turns) -> None:
    for model in (1, 2, 3):
        turns.hold(model, 0.1)
    turns.order(1, 10, Urgency.AGAIN)
    turns.order(1, 11)
    turns.order(2, 20, Urgency.AGAIN)
    assert turns.next() == 11
    turns.end(11, 0.1)
    assert turns.next() in (10, 20)
    assert turns.next() is None
    turns.order(3, 30)
    assert turns.next() == 30


def test_a_clock_that_runs_goes_first(turns: Turns) -> None:
    turns.hold(1, 0.1)
    turns.hold(2, 1.0)
    turns.order(1, 10)
    turns.order(2, 20, Urgency.GAME)
    assert turns.next() == 20


def test_a_check_that_is_overdue_holds_up_no_other_about_its_model(turns: Turns) -> None:
    turns.hold(1, 1.0)
    turns.order(1, 10)
    turns.order(1, 11)
    assert turns.next() == 10 and turns.next() is None
    turns.now = schedule.OVERDUE * 1.0 + 0.1
    assert turns.next() == 11


def test_a_claim_is_ordered_ahead_only_so_far(turns: Turns) -> None:
    turns.hold(1, 1.0)
    model = ModelId(Root(bytes([1]) * 32))
    for claim in range(pools.AHEAD):
        assert turns.pool.room(model)
        turns.order(1, claim)
    assert not turns.pool.room(model) and turns.pool.room(ModelId(Root(bytes([2]) * 32)))


# Several claims of one model at once


def test_claims_of_one_model_that_wait_are_checked_together_within_a_short_check_s_time(turns: Turns) -> None:
    turns.hold(1, 0.25, most=16)
    turns.hold(2, 0.5)
    for claim in range(20):
        turns.order(1, 10 + claim)
    turns.order(1, 30, Urgency.AGAIN)
    turns.order(1, 31, Urgency.GAME)
    turns.order(2, 40)
    # Whose clock runs goes first, and waits for no company.
    assert turns.next_ones() == [31]
    turns.end(31, 0.25)
    assert turns.next_ones() == [40]
    assert turns.next_ones() == list(range(10, 18)), "eight of them take two seconds"
    assert turns.next_ones() == []
    turns.end(10, 2.0)
    assert turns.next_ones() == list(range(18, 26))
    turns.pool._shared.separately(turns.pool._shared.running[-1])
    turns.end(18, 2.0)
    assert [turns.only(0.25) for _ in range(8)] == list(range(18, 26))
    assert turns.next_ones() == list(range(26, 30))
    turns.end(26, 1.0)
    assert turns.next_ones() == [30]


def test_two_claims_are_checked_one_by_one_and_so_are_traces(turns: Turns) -> None:
    turns.hold(1, 0.1, most=16)
    turns.order(1, 10)
    turns.order(1, 11)
    assert [turns.only(0.1) for _ in range(2)] == [10, 11]
    for claim in range(4):
        turns.order(1, 20 + claim, trace=True)
    assert [turns.only(0.1) for _ in range(4)] == [20, 21, 22, 23]


def told(pool: Pool, orders: list[Order]) -> dict[int, Finding | ValueTrace | Exception]:
    """By claim, what is found if all of them are ordered at the same moment."""
    with pool._changed:
        for one in orders:
            pool.submit(one)
    found: list[Done] = []
    while len(found) < len(orders):
        found += pool.done(PATIENCE)
    return {done.order.claim_id[0]: done.answer for done in found}


def claims_of_toy(count: int) -> list[Order]:
    """Right claims, each on an input of its own."""
    orders = []
    for number in range(1, count + 1):
        values = values_of(PROGRAM, toy_inputs(number))
        claim, _, outputs = claimed(PROGRAM, values, ValueTrace(PROGRAM, values).root)
        inputs = b"".join(array.tobytes() for array in toy_inputs(number))
        orders.append(Order(ClaimId(bytes([number]) * 32), claim, inputs, outputs))
    return orders


def test_false_and_malformed_claims_among_those_that_are_checked_together_disturb_no_other() -> None:
    orders = claims_of_toy(20)
    orders[3] = replace(orders[3], outputs=orders[4].outputs)
    orders[5] = replace(orders[5], inputs=orders[5].inputs[:-1])
    orders[7] = replace(orders[7], outputs=b"")
    orders[9] = replace(orders[9], claim=replace(orders[9].claim, trace_root=ROOT))
    orders[11] = replace(orders[11], claim=replace(orders[11].claim, trace_root=NO_ROOT))
    orders[12] = replace(orders[12], claim=replace(orders[12].claim, trace_root=NO_ROOT), outputs=orders[4].outputs)
    roomy = Budget(PATIENCE, 4 << 30, 1 << 30)
    with pool_of(pools.MACHINE, roomy, processes=1) as pool:
        pool.take(pool.prepare(PROGRAM))
        found = told(pool, orders)
        _, process = pool._shared.idle[-1]
        assert process.batches
        for number, one in enumerate(orders, start=1):
            checker, answer = ReExecute(PROGRAM, Reference(PROGRAM)), found[number]
            if number in (6, 8):
                assert isinstance(answer, ClaimError) and "bytes" in str(answer), number
                continue
            expected = checker.check(one.claim, one.inputs, one.outputs)
            assert isinstance(answer, Finding)
            assert (answer.honest, answer.reason) == (expected.honest, expected.reason), number
            assert answer.honest == (number not in (4, 10, 13))


@pytest.mark.parametrize("trap", [Trap.CRASH, Trap.STALL, Trap.FILL, Trap.CONFUSE])
def test_a_claim_that_ends_the_check_of_several_is_found_and_the_others_are_right(
    trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "TOGETHER_SECONDS", 1.0)
    monkeypatch.setattr(budgets, "STALLED_SECONDS", 2.0)
    orders = claims_of_toy(6)
    orders[2] = replace(orders[2], inputs=data_of(trap))
    notes = Notes(tmp_path / "notes.json")
    with pool_of(BATCHING, replace(SHORT, seconds=30.0), processes=1, notes=notes) as pool:
        pool.take(replace(pool.prepare(PROGRAM), check=0.001))
        found = told(pool, orders)
        assert isinstance(found[3], CheckFailed)
        assert all(isinstance(found[n], Finding) and found[n].honest for n in (1, 2, 4, 5, 6))
        assert pool._shared.alone == set()
        failures = {n: pool.failures(ClaimId(bytes([n]) * 32)) for n in range(1, 7)}
        assert failures == {1: 0, 2: 0, 3: 1, 4: 0, 5: 0, 6: 0}
        again = told(pool, claims_of_toy(6))
        assert all(isinstance(one, Finding) and one.honest for one in again.values())


def test_a_program_whose_batches_are_not_exact_has_its_claims_checked_one_by_one() -> None:
    with pool_of(BATCHING, processes=1) as pool:
        pool.take(replace(pool.prepare(PROGRAM), check=0.001))
        ask = Process.ask

        def inexact(self: Process, request: dict[str, Any], *rest: Any, **more: Any) -> dict[str, Any]:
            if request["do"] == "batches":
                raise InexactMachine("value 3 is another one in a batch")
            assert request["do"] != "check each"
            return ask(self, request, *rest, **more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Process, "ask", inexact)
            found = told(pool, claims_of_toy(6))
        assert all(isinstance(one, Finding) and one.honest for one in found.values())
        assert pool._shared.held[PROGRAM.id].most == 1


# After a restart


def test_a_worker_that_starts_again_neither_tests_nor_times_its_program_again(tmp_path: Path) -> None:
    starts = private(tmp_path / "starts")
    roomy = Budget(PATIENCE, 4 << 30, 1 << 30)
    with pool_of(pools.MACHINE, roomy, processes=1, starts=starts) as pool:
        first = pool.prepare(PROGRAM, None)
    (place,) = starts.iterdir()
    notes = {path.name: path.stat().st_mtime_ns for path in (place / "passed").iterdir()}
    assert notes.keys() == {f"{PROGRAM.id.hex()}.self-test", f"{PROGRAM.id.hex()}.timed"}
    with pool_of(pools.MACHINE, roomy, processes=1, starts=starts) as pool:
        again = pool.prepare(PROGRAM, None)
        pool.take(again)
        assert all(isinstance(one, Finding) and one.honest for one in told(pool, claims_of_toy(3)).values())
    assert (again.check, again.trace, again.most) == (first.check, first.trace, batches.SIZES[-1])
    assert notes == {path.name: path.stat().st_mtime_ns for path in (place / "passed").iterdir()}


def test_a_watcher_that_starts_again_checks_what_is_fresh_before_what_it_was_at(tmp_path: Path) -> None:
    network = NetworkWorld(PROGRAM)
    notes = tmp_path / "checks.json"
    heavy = network.claim("heavy", trapped(Trap.STALL))
    with pool_of(HOSTILE, notes=Notes(notes)) as pool:
        watcher = Watcher(network.client("watcher"), network.traces, admit=network.admit, checks=pool)
        watcher.hold(network.program)
        watcher.poll()
        eventually(lambda: notes.exists() and heavy.claim_id.hex() in notes.read_text(), "the note of it")
        # As whoever is killed at this moment leaves it.
        left = notes.read_text()
    notes.write_text(left)
    fresh = network.claim("honest", toy_inputs(1))
    again = Inline(Reference, Notes(notes))
    second = Watcher(network.client("watcher"), network.traces, admit=network.admit, checks=again)
    second.hold(network.program)
    second.l1.read(network.client("watcher"))
    assert second.unchecked() == [fresh.claim_id, heavy.claim_id]
    second.poll()
    assert set(second.checked) == {fresh.claim_id, heavy.claim_id}
    assert Notes(notes).failures(heavy.claim_id) == 0


def test_a_watcher_that_only_watches_needs_no_trace() -> None:
    network, told = NetworkWorld(PROGRAM), Told()
    lie = lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
    with pool_of(processes=1) as pool:
        configuration = WatchConfiguration(WatchMode.WATCH)
        watcher = Watcher(
            network.client("watcher"), None, admit=network.admit, configuration=configuration, alert=told, checks=pool
        )
        watcher.hold(network.program)
        assert [checked.finding.honest for checked in watcher.check()] == [False]
        watcher.poll()
        assert watcher._checking.ordered == set() and watcher.false_claims() == [lie.claim_id]


def test_what_a_worker_expects_to_go_wrong_is_told_as_it_is() -> None:
    process = Process(REFERENCE, MEMORY, MEMORY)
    try:
        with pytest.raises(EncodingError, match="holds no manifest"):
            process.ask({"do": "load", "folder": "/nowhere", "model_id": "00" * 32}, seconds=PATIENCE)
    finally:
        process.end()
    assert not process.alive


def test_a_worker_whose_asker_is_gone_computes_no_longer_than_it_was_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda limit, bounds: told.append((limit, bounds[0])))
    bound_time(100.0)
    ((limit, most),) = told
    assert limit == resource.RLIMIT_CPU
    assert 100 < most - time.process_time() <= 100 * (os.cpu_count() or 1) + SPARE_SECONDS
