"""Traces by root: bounded memory, and whatever was dropped is derived again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from prover.claims import MadeClaim, make_claim
from prover.service.archive import Archive, TraceSource
from prover.trace import ExecutionTrace
from rollup.claim import NO_ROOT, ClaimId
from rollup.errors import ClaimError
from rollup.l1.account.signing import Domain, Signer
from rollup.service.problem import Problem
from rollup.types import ModelId, Root, Timestamp
from tests.e2e.toy_program import toy_inputs
from tests.prover.service.world import model_of_toy

SIGNER = Signer.from_key(b"\x01" * 32)
DOMAIN = Domain(1337, SIGNER.address)
MODEL = model_of_toy()


def made(seed: int) -> MadeClaim:
    real, whole = toy_inputs(seed)
    return make_claim(MODEL, [real / 256.0, whole], SIGNER, DOMAIN, Timestamp(2_000_000_000), nonce=seed)


class Machine:
    """Derives like a worker, and counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, model_id: ModelId, inputs: bytes) -> ExecutionTrace:
        if model_id != MODEL.program.id:
            raise ClaimError("not held")
        self.times += 1
        half = len(inputs) - 8
        return ExecutionTrace.of(
            MODEL.executor, [np.frombuffer(inputs[:half], "<i2"), np.frombuffer(inputs[half:], "<i2")]
        )


def leaves(archive: Archive, root: Root) -> list[bytes]:
    with archive.open(root) as trace:
        return [trace.tree.leaf_bytes(leaf) for leaf in range(1 << trace.tree.depth)]


def test_traces_beyond_the_bound_are_dropped_and_derived_again() -> None:
    claims = [made(seed) for seed in range(6)]
    traces = [claim.trace for claim in claims if claim.trace is not None]
    machine = Machine()
    archive = Archive(machine, trace_bytes=2 * traces[0].memory)
    for claim in claims:
        archive.keep(claim)
    assert 0 < archive.size <= 2 * traces[0].memory
    for claim, trace in zip(claims, traces, strict=True):
        assert leaves(archive, trace.root) == [trace.tree.leaf_bytes(leaf) for leaf in range(1 << trace.tree.depth)]
        assert archive.known(trace.root).claims == [claim.claim_id]
        assert archive.size <= 2 * traces[0].memory
    assert machine.times >= 4


def test_a_trace_larger_than_the_bound_is_served_all_the_same() -> None:
    claim, machine = made(1), Machine()
    assert claim.trace is not None
    archive = Archive(machine, trace_bytes=1)
    archive.keep(claim)
    assert leaves(archive, claim.trace.root)[0] == claim.posted.inputs[:1024]
    assert machine.times == 0


def test_inputs_beyond_the_bound_are_forgotten_unless_they_are_found_elsewhere() -> None:
    claims = [made(seed) for seed in range(4)]
    roots = [claim.posted.claim.trace_root for claim in claims]
    on_chain = {roots[0]: TraceSource(claims[0].claim_id, MODEL.program.id, claims[0].posted.inputs)}
    machine = Machine()
    archive = Archive(
        machine, find=lambda root: [on_chain[root]] if root in on_chain else [], trace_bytes=1, source_bytes=5000
    )
    for claim in claims:
        archive.keep(claim)
    with pytest.raises(Problem) as error:
        archive.known(roots[1])
    assert error.value.status == 404
    assert leaves(archive, roots[0])[0] == claims[0].posted.inputs[:1024]
    assert archive.known(roots[0]).claims == [claims[0].claim_id]


def test_one_input_is_derived_once_and_published_from_then_on() -> None:
    claim, machine = made(2), Machine()
    archive = Archive(machine)
    trace = archive.of(MODEL.program.id, claim.posted.inputs)
    assert archive.of(MODEL.program.id, claim.posted.inputs) is trace and machine.times == 1
    assert leaves(archive, trace.root)[0] == claim.posted.inputs[:1024]


def test_a_claim_whose_program_gives_another_trace_is_not_published() -> None:
    claim, other = made(3), Root(b"\x07" * 32)
    source = TraceSource(claim.claim_id, MODEL.program.id, claim.posted.inputs)
    strange = TraceSource(ClaimId(b"\x01" * 32), Root(b"\x02" * 32), b"")
    archive = Archive(Machine(), find=lambda root: [source] if root == other else [strange])
    for root, why in ((other, "not what its claim's program gives"), (Root(b"\x08" * 32), "not held")):
        with pytest.raises(Problem, match=why), archive.open(root):
            pass


def test_no_root_is_no_trace() -> None:
    asked: list[Root] = []
    archive = Archive(Machine(), find=lambda root: asked.append(root) or [])
    with pytest.raises(Problem, match="no claim that this prover made"):
        archive.known(NO_ROOT)
    assert asked == []


def test_who_would_wait_for_an_execution_beyond_the_bound_is_told_to_come_back() -> None:
    claims = [made(seed) for seed in range(2)]
    archive = Archive(Machine(), trace_bytes=1, deriving=0)
    for claim in claims:
        archive.keep(claim)
    dropped, held = (claim.posted.claim.trace_root for claim in claims)
    with pytest.raises(Problem, match="busy") as error:
        leaves(archive, dropped)
    assert error.value.status == 503
    assert leaves(archive, held)[0] == claims[1].posted.inputs[:1024]


def test_many_readers_of_many_traces_all_get_the_right_bytes() -> None:
    claims = [made(seed) for seed in range(4)]
    right = {claim.trace.root: claim.trace for claim in claims if claim.trace is not None}
    expected = {root: [trace.tree.leaf_bytes(leaf) for leaf in range(32)] for root, trace in right.items()}
    machine = Machine()
    archive = Archive(machine, trace_bytes=2 * next(iter(right.values())).memory, deriving=8)
    for claim in claims:
        archive.keep(claim)

    def read(number: int) -> bool:
        root = list(right)[number % 4]
        with archive.open(root) as trace:
            leaf = number % 32
            return trace.tree.leaf_bytes(leaf) == expected[root][leaf] and trace.root == root

    with ThreadPoolExecutor(8) as readers:
        assert all(readers.map(read, range(200)))
    assert machine.times > 0
