"""Models that are held ready, run one execution at a time each, and signed for."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from prover.claims import MadeClaim, claim_integers, make_claim
from prover.model import Model
from prover.saturation import run_counted
from prover.service.numbers import array_of
from prover.trace import ExecutionTrace
from rollup import hashing
from rollup.claim import Address, PostedClaim, arrays
from rollup.errors import ClaimError
from rollup.form.encoding import TracePolicy
from rollup.group import Group
from rollup.l1.account.signing import Domain, Signer, claim_id, group_digest, recover
from rollup.numbers import dtype_of, narrowed
from rollup.service.limits import busy
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge, histogram
from rollup.service.problem import Problem
from rollup.types import ModelId, Timestamp

INFERENCES = counter("prover", "inferences", "Inferences asked for", ["model", "outcome"])
SECONDS = histogram("prover", "inference_seconds", "Execution, hashing and signing, without waiting", ["model"])
QUEUE = gauge("prover", "queue_inferences", "Inferences that run or wait", ["model"])
HELD = gauge("prover", "models_held", "Models that are held ready")

_log = logger("touchstone.prover")


@dataclass
class LoadedModel:
    """One model, ready to run. ``names``: what it can be asked for by, besides its id; the first is shown."""

    model: Model
    names: list[str]
    lock: Lock = field(default_factory=Lock)
    waiting: int = 0

    @property
    def id(self) -> ModelId:
        return self.model.program.id

    @property
    def name(self) -> str:
        return self.names[0] if self.names else f"0x{self.id.hex()[:16]}"


SHARED_SECONDS = 600
"""Claims are valid until a multiple of this, so that many of them share it."""


class InferenceWorker:
    """``now``: the chain's time; ``valid_for``: seconds that a claim may wait to be posted; ``queue``: executions of one
    model that may run or wait, others are refused.
    """

    def __init__(
        self,
        signer: Signer,
        domain: Domain,
        now: Callable[[], Timestamp],
        valid_for: int = 3600,
        queue: int = 16,
    ) -> None:
        self._signer, self._domain, self._now = signer, domain, now
        self._valid_for, self._queue = valid_for, queue
        self._held: dict[ModelId, LoadedModel] = {}
        self._counting = Lock()
        # Nonces of different lives of the process never meet, and those of one fill words of L1's storage from their start.
        self._nonces = itertools.count(secrets.randbits(255) >> 8 << 8)

    @property
    def models(self) -> list[LoadedModel]:
        """What is held, in the order in which it came."""
        return list(self._held.values())

    def __contains__(self, model_id: ModelId) -> bool:
        return model_id in self._held

    def hold(self, model: Model, *names: str) -> LoadedModel:
        """Make a model ready: the self-test runs, and one execution, so that no caller waits for compilation.

        Raises InexactMachine if it is not exact here, AuditError if the program is not well-formed.
        """
        program = model.program
        held = self._held.get(program.id)
        if held is None:
            started = time.perf_counter()
            machine = model.executor
            zeros = [np.zeros(tensor.shape, tensor.dtype.numpy) for tensor in program.header.inputs]
            if program.header.policy is TracePolicy.WITH_CLAIM:
                ExecutionTrace.of(machine, zeros)
            else:
                run_counted(machine, zeros)
            held = self._held.setdefault(program.id, LoadedModel(model, list(names)))
            HELD.set(len(self._held))
            _log.info(
                "model ready",
                model=held.name,
                seconds=round(time.perf_counter() - started, 2),
                hashing=str(hashing.choice()),
            )
        held.names += [name for name in names if name not in held.names]
        return held

    def find(self, name: str) -> LoadedModel:
        """The model of this name or id (the last that took the name); raises Problem 404."""
        for held in reversed(self.models):
            if name in held.names or name.lower().removeprefix("0x") == held.id.hex():
                return held
        known = ", ".join(held.name for held in self.models[:10]) or "none yet"
        raise Problem(404, "no-model", "No such model", f"no model {name[:80]!r} is held here; there are: {known}")

    def model(self, model_id: ModelId) -> Model | None:
        held = self._held.get(model_id)
        return None if held is None else held.model

    def infer(self, name: str, inputs: Sequence[Any], clamp: bool = False) -> tuple[LoadedModel, MadeClaim]:
        """Run a model on nested lists, one per program input, and sign what comes out; nothing is posted.

        ``clamp``: numbers beyond an input's format are cut to its ends. Raises Problem 404 for an unknown model and 503 when too many
        wait, ExecutionError for inputs that do not fit.
        """
        held = self.find(name)
        given = [_given(held.model, number, nested) for number, nested in enumerate(inputs)]
        outcome = "refused"
        try:
            with self._turn(held), SECONDS.labels(held.name).time():
                nonce, valid_until = self._next()
                made = make_claim(held.model, given, self._signer, self._domain, valid_until, nonce, clamp=clamp)
                outcome = "signed"
        finally:
            INFERENCES.labels(held.name, outcome).inc()
        return held, made

    def sign_group(self, claims: Sequence[PostedClaim]) -> bytes:
        """Sign for claims that were signed here before, so that they are posted together. Raises ClaimError for any other."""
        group = Group(tuple(claims), b"")
        ids = [claim_id(one.claim, self._domain) for one in group.claims]
        for name, one in zip(ids, group.claims, strict=True):
            if one.claim.claimant != self._signer.address or recover(name, one.signature) != self._signer.address:
                raise ClaimError(f"claim 0x{name.hex()} was not signed by {self._signer.address}; ask its claimant")
        return self._signer.sign(group_digest(ids, self._domain))

    def _next(self) -> tuple[int, Timestamp]:
        """Nonce and validity of the next claim: claims that come in a row can be posted together."""
        until = self._now() + self._valid_for
        return next(self._nonces), Timestamp(until + -until % SHARED_SECONDS)

    @property
    def account(self) -> Address:
        """Whose claims these are."""
        return self._signer.address

    def answer(
        self, model_id: ModelId, inputs: bytes, request_id: bytes, nonce: int, valid_until: Timestamp
    ) -> tuple[LoadedModel, MadeClaim]:
        """Run a model on the bytes that a request on L1 names, and sign the claim that answers it; nothing is posted.

        ``valid_until``: last second in which it may be posted. Raises Problem 404 for an unknown model and 503 when too many wait,
        ClaimError for bytes that do not fit.
        """
        held = self.find(model_id.hex())
        integers = arrays(inputs, held.model.program.header.inputs, "input")
        latest = Timestamp(min(valid_until, self._now() + self._valid_for))
        outcome = "refused"
        try:
            with self._turn(held), SECONDS.labels(held.name).time():
                made = claim_integers(held.model, integers, self._signer, self._domain, latest, nonce, request_id)
                outcome = "signed"
        finally:
            INFERENCES.labels(held.name, outcome).inc()
        return held, made

    def trace(self, model_id: ModelId, inputs: bytes) -> ExecutionTrace:
        """Execute again on a claim's input bytes; raises ClaimError if the model is not held or the bytes don't fit."""
        held = self._held.get(model_id)
        if held is None:
            raise ClaimError(f"model 0x{model_id.hex()} is not held here; give its program to derive traces of it")
        tensors = arrays(inputs, held.model.program.header.inputs, "input")
        with self._turn(held, bounded=False):
            return ExecutionTrace.of(held.model.executor, tensors)

    @contextmanager
    def _turn(self, held: LoadedModel, bounded: bool = True) -> Iterator[None]:
        """One's turn to execute; raises Problem 503 at once if too many wait (``bounded``)."""
        with self._counting:
            if bounded and held.waiting >= self._queue:
                raise busy(f"{held.waiting} executions of {held.name} wait")
            held.waiting += 1
            QUEUE.labels(held.name).set(held.waiting)
        try:
            with held.lock:
                yield
        finally:
            with self._counting:
                held.waiting -= 1
                QUEUE.labels(held.name).set(held.waiting)


def _given(model: Model, number: int, nested: Any) -> np.ndarray:
    """An input as an array, in the precision that the model's interface names."""
    ports = model.program.interface.inputs
    if number >= len(ports):
        return array_of(nested, f"{number}")
    return narrowed(array_of(nested, ports[number].name), dtype_of(ports[number].dtype))
