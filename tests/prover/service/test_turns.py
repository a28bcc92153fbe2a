"""Who waits for the same model is run together, and nobody waits for company."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from prover.claims import Execution
from prover.executor import Executor
from prover.service.archive import Archive
from prover.service.turns import Turns
from rollup.documents.claims import SignedClaim
from rollup.documents.fields import read
from rollup.errors import ExecutionError
from rollup.service.problem import Problem
from tests.e2e.toy_program import toy_inputs, toy_numbers
from tests.prover.service.world import BEARER, ProverWorld, served

PATIENCE = 120.0
TOGETHER = 20


class Gate:
    """Executes a claim as its own number; stands still before the first execution until it is opened."""

    def __init__(self) -> None:
        self.ran: list[tuple[list[int], bool]] = []
        self.bad: set[int] = set()
        self.opened = threading.Event()
        self._waiting = threading.Condition()
        self._count = 0

    def run(self, claims: Sequence[Sequence[np.ndarray]], traced: bool) -> list[Execution]:
        numbers = [int(inputs[0]) for inputs in claims]
        self.ran.append((numbers, traced))
        assert self.opened.wait(PATIENCE)
        for number in numbers:
            if number in self.bad:
                raise ExecutionError(f"claim {number} is bad")
        return [Execution([inputs[0]], ()) for inputs in claims]

    def tell(self, waiting: int) -> None:
        with self._waiting:
            self._count = waiting
            self._waiting.notify_all()

    def until(self, waiting: int) -> None:
        with self._waiting:
            assert self._waiting.wait_for(lambda: self._count == waiting, PATIENCE)


def started(
    gate: Gate, turns: Turns, pool: ThreadPoolExecutor, numbers: Sequence[int], traced: Callable[[int], bool]
) -> list[Future[Execution]]:
    """They come one after the other, the first of them while nothing runs."""
    found = []
    for at, number in enumerate(numbers):
        found.append(pool.submit(turns.take, [np.array(number)], traced(number)))
        gate.until(at + 1)
    return found


def test_a_lone_one_runs_at_once_and_those_who_come_meanwhile_run_together() -> None:
    gate = Gate()
    turns = Turns("toy", gate.run, 64, gate.tell)
    turns.most = 16
    with ThreadPoolExecutor(TOGETHER) as pool:
        found = started(gate, turns, pool, range(TOGETHER), lambda number: False)
        gate.opened.set()
        assert [int(one.result(PATIENCE).outputs[0]) for one in found] == list(range(TOGETHER))
    assert gate.ran == [([0], False), (list(range(1, 17)), False), (list(range(17, 20)), False)]


def test_those_who_want_other_things_are_not_run_together_and_what_is_urgent_goes_first() -> None:
    gate = Gate()
    turns = Turns("toy", gate.run, 3, gate.tell)
    turns.most = 16
    with ThreadPoolExecutor(TOGETHER) as pool:
        found = started(gate, turns, pool, range(3), lambda number: number == 2)
        with pytest.raises(Problem, match="3 executions of toy wait"):
            turns.take([np.array(3)], False)
        urgent = pool.submit(turns.take, [np.array(4)], True, urgent=True)
        gate.until(4)
        gate.opened.set()
        for one in (*found, urgent):
            one.result(PATIENCE)
    assert gate.ran == [([0], False), ([4], True), ([1], False), ([2], True)]


def test_a_bad_one_among_them_disturbs_no_other() -> None:
    gate = Gate()
    gate.bad = {3}
    turns = Turns("toy", gate.run, 64, gate.tell)
    turns.most = 4
    with ThreadPoolExecutor(TOGETHER) as pool:
        found = started(gate, turns, pool, range(6), lambda number: False)
        gate.opened.set()
        for number in (0, 1, 2, 4, 5):
            assert int(found[number].result(PATIENCE).outputs[0]) == number
        with pytest.raises(ExecutionError, match="claim 3 is bad"):
            found[3].result(PATIENCE)
    assert [numbers for numbers, _ in gate.ran] == [[0], [1, 2, 3, 4], [1], [2], [3], [4], [5]]


def test_twenty_requests_at_once_are_answered_as_if_each_was_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, at both models of the toy; the first request's execution ends when all of them wait."""
    world = ProverWorld()
    worker = world.worker(queue=TOGETHER)
    worker.prepare_batches()
    archive = Archive(worker.trace)
    held = [worker.find("toy"), worker.find("later")]
    alone = [{name: worker.infer(name, toy_numbers(seed))[1] for name in ("toy", "later")} for seed in range(TOGETHER)]
    everyone, sizes = threading.Semaphore(0), list[int]()
    for one in held:
        assert one.turns.most == 64
        monkeypatch.setattr(one.turns, "_told", lambda waiting: everyone.release())
    right = Executor.stream_batch

    def seen(self: Executor, inputs: Sequence[np.ndarray]) -> Any:
        sizes.append(len(inputs[0]))
        return right(self, inputs)

    monkeypatch.setattr(Executor, "stream_batch", seen)
    changes = [one.turns._changed for one in held]

    def asked(http: httpx.Client, seed: int, name: str) -> dict[str, Any]:
        answer = http.post("/v1/infer", json={"model": name, "inputs": toy_numbers(seed)}, headers=BEARER)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    names = ["toy"] * (TOGETHER - 4) + ["later"] * 4
    with served(worker, archive) as http, ThreadPoolExecutor(TOGETHER) as pool:
        for one in held:
            one.turns._running = 1
        answers = [pool.submit(asked, http, seed, name) for seed, name in enumerate(names)]
        bad = http.post("/v1/infer", json={"model": "toy", "inputs": [[1.0], [2]]}, headers=BEARER)
        assert bad.status_code == 422
        for _ in names:
            assert everyone.acquire(timeout=PATIENCE)
        for one, changed in zip(held, changes, strict=True):
            with changed:
                one.turns._running = 0
                changed.notify_all()
        for seed, (name, answer) in enumerate(zip(names, answers, strict=True)):
            found, made = answer.result(PATIENCE), alone[seed][name]
            claim = read(SignedClaim, found["posted"]).value
            assert claim.claim.trace_root == made.posted.claim.trace_root
            assert (claim.inputs, claim.outputs) == (made.posted.inputs, made.posted.outputs)
            assert claim.claim.output_root == made.posted.claim.output_root
            assert found["saturated_inside"] == made.saturated_inside
            if name == "toy":
                leaf = http.get(f"/v1/trace/0x{claim.claim.trace_root.hex()}/leaves/0").content
                assert leaf == made.posted.inputs[:1024] and toy_inputs(seed)[0].tobytes().startswith(leaf)
    assert sorted(sizes) == [4, 16]
