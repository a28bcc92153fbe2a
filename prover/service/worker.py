"""Models that are held ready, run and signed for."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prover.claims import NO_REQUEST, Execution, MadeClaim, execute, hashed, quantised, require_postable, signed
from prover.model import Model
from prover.service.numbers import array_of
from prover.service.turns import Turns
from prover.start import Starts
from prover.trace import ExecutionTrace
from rollup import hashing
from rollup.claim import Address, PostedClaim, arrays
from rollup.errors import ClaimError, InexactMachine
from rollup.group import Group
from rollup.l1.account.signing import Domain, Signer, claim_id, group_digest, recover
from rollup.numbers import dtype_of, narrowed
from rollup.service.logs import logger
from rollup.service.memory import give_back
from rollup.service.metrics import counter, gauge, histogram
from rollup.service.problem import Problem
from rollup.types import ModelId, Timestamp

INFERENCES = counter("prover", "inferences", "Inferences asked for", ["model", "outcome"])
SECONDS = histogram(
    "prover", "inference_seconds", "Execution and hashing of the claims that are run together", ["model"]
)
TOGETHER = counter("prover", "executions", "Executions, each of one claim or of several", ["model"])
QUEUE = gauge("prover", "queue_inferences", "Inferences that run or wait", ["model"])
HELD = gauge("prover", "models_held", "Models that are held ready")

_log = logger("touchstone.prover")


@dataclass
class LoadedModel:
    """One model, ready to run. ``names``: what it can be asked for by, besides its id; the first is shown."""

    model: Model
    names: list[str]
    queue: int
    turns: Turns = field(init=False)
    batches: bool = False
    """Whether it is known which batches it can be run in."""

    def __post_init__(self) -> None:
        self.turns = Turns(self.name, self._run, self.queue, self._tell)

    def _tell(self, waiting: int) -> None:
        QUEUE.labels(self.name).set(waiting)

    def _run(self, claims: Sequence[Sequence[np.ndarray]], traced: bool) -> list[Execution]:
        TOGETHER.labels(self.name).inc()
        with SECONDS.labels(self.name).time():
            return execute(self.model.executor, claims, traced)

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
    model that may run or wait, others are refused; ``starts``: what earlier starts found out.
    """

    def __init__(
        self,
        signer: Signer,
        domain: Domain,
        now: Callable[[], Timestamp],
        valid_for: int = 3600,
        queue: int = 64,
        starts: Starts | None = None,
    ) -> None:
        self._signer, self._domain, self._now = signer, domain, now
        self._valid_for, self._queue, self._starts = valid_for, queue, starts or Starts()
        self._held: dict[ModelId, LoadedModel] = {}
        self.closing = False
        """Set when the process is about to end: no other batch is compiled then."""
        # Nonces of different lives of the process never meet, and those of one fill words of L1's storage from their start.
        self._nonces = itertools.count(secrets.randbits(255) >> 8 << 8)

    @property
    def models(self) -> list[LoadedModel]:
        """What is held, in the order in which it came."""
        return list(self._held.values())

    def __contains__(self, model_id: ModelId) -> bool:
        return model_id in self._held

    def hold(self, model: Model, *names: str) -> LoadedModel:
        """Make a model ready: the self-test runs unless it passed in an earlier start, and then one execution, so that no caller waits
        for compilation. Raises InexactMachine if it is not exact here, AuditError if the program is not well-formed.
        """
        program = model.program
        held = self._held.get(program.id)
        if held is None:
            started = time.perf_counter()
            machine = model.ready(self._starts)
            zeros = [np.zeros(tensor.shape, tensor.dtype.numpy) for tensor in program.header.inputs]
            execute(machine, [zeros], hashed(program))
            self._starts.seal()
            give_back()
            held = self._held.setdefault(program.id, LoadedModel(model, list(names), self._queue))
            HELD.set(len(self._held))
            _log.info(
                "model ready",
                model=held.name,
                seconds=round(time.perf_counter() - started, 2),
                hashing=str(hashing.choice()),
            )
        held.names += [name for name in names if name not in held.names]
        return held

    def prepare_batches(self) -> None:
        """Compile and test batches of the models that are held, so that claims which wait are run together from then on.

        A model whose batches are not exact here is run one claim at a time.
        """
        for held in self.models:
            if not held.batches and not self.closing:
                held.batches = True
                try:
                    held.turns.most = held.model.executor.test_batches(stopping=lambda: self.closing)
                    self._starts.seal()
                    give_back()
                except InexactMachine as error:
                    _log.error("claims are run one at a time", model=held.name, error=str(error))

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
        with _counted(held):
            integers, clamped = quantised(held.model, given, clamp)
            execution = _executed(held, integers)
            nonce, until = self._next()
            made = signed(held.model, integers, execution, self._signer, self._domain, until, nonce, clamped=clamped)
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
        return next(self._nonces), self._until()

    def _until(self) -> Timestamp:
        until = self._now() + self._valid_for
        return Timestamp(until + -until % SHARED_SECONDS)

    @property
    def account(self) -> Address:
        """Whose claims these are."""
        return self._signer.address

    def reserve(self) -> int:
        """A nonce for a claim that is promised now and made later."""
        return next(self._nonces)

    def keep_promise(self, model_id: ModelId, inputs: bytes, nonce: int) -> tuple[LoadedModel, MadeClaim]:
        """Run a model on input bytes, and sign the claim under a reserved nonce; nothing is posted. Raises as ``answer``."""
        return self._claimed(model_id, inputs, NO_REQUEST, nonce, self._until())

    def answer(
        self, model_id: ModelId, inputs: bytes, request_id: bytes, nonce: int, valid_until: Timestamp
    ) -> tuple[LoadedModel, MadeClaim]:
        """Run a model on the bytes that a request on L1 names, and sign the claim that answers it; nothing is posted.

        ``valid_until``: last second in which it may be posted. Raises Problem 404 for an unknown model and 503 when too many wait,
        ClaimError for bytes that do not fit.
        """
        latest = Timestamp(min(valid_until, self._now() + self._valid_for))
        return self._claimed(model_id, inputs, request_id, nonce, latest)

    def _claimed(
        self, model_id: ModelId, inputs: bytes, request_id: bytes, nonce: int, until: Timestamp
    ) -> tuple[LoadedModel, MadeClaim]:
        held = self.find(model_id.hex())
        integers = arrays(inputs, held.model.program.header.inputs, "input")
        with _counted(held):
            execution = _executed(held, integers)
            made = signed(held.model, integers, execution, self._signer, self._domain, until, nonce, request_id)
        return held, made

    def run(self, model_id: ModelId, inputs: bytes) -> list[np.ndarray]:
        """A model's outputs for input bytes, as its program's integers; nothing is signed. Raises as ``answer``."""
        held = self.find(model_id.hex())
        integers = arrays(inputs, held.model.program.header.inputs, "input")
        return held.turns.take(held.model.executor.check_inputs(integers), traced=False).outputs

    def trace(self, model_id: ModelId, inputs: bytes) -> ExecutionTrace:
        """Execute again on a claim's input bytes; raises ClaimError if the model is not held or the bytes don't fit."""
        held = self._held.get(model_id)
        if held is None:
            raise ClaimError(f"model 0x{model_id.hex()} is not held here; give its program to derive traces of it")
        tensors = arrays(inputs, held.model.program.header.inputs, "input")
        # A clock may run in a game about it.
        trace = held.turns.take(tensors, traced=True, urgent=True).trace
        assert trace is not None
        return trace


@contextmanager
def _counted(held: LoadedModel) -> Iterator[None]:
    """Around an inference: count what came of it."""
    outcome = "refused"
    try:
        yield
        outcome = "signed"
    finally:
        INFERENCES.labels(held.name, outcome).inc()


def _executed(held: LoadedModel, integers: Sequence[np.ndarray]) -> Execution:
    """Execute in one's turn; what does not fit is refused before, and disturbs nobody."""
    program = held.model.program
    require_postable(program)
    return held.turns.take(held.model.executor.check_inputs(integers), hashed(program))


def _given(model: Model, number: int, nested: Any) -> np.ndarray:
    """An input as an array, in the precision that the model's interface names."""
    ports = model.program.interface.inputs
    if number >= len(ports):
        return array_of(nested, f"{number}")
    return narrowed(array_of(nested, ports[number].name), dtype_of(ports[number].dtype))
