"""What the prover's tests stand on: the toy program as a model, workers that hold it, and a prover over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from prover.executor import Executor
from prover.model import Model
from prover.service.app import prover_app
from prover.service.archive import Archive
from prover.service.worker import InferenceWorker
from rollup.form.encoding import TracePolicy
from rollup.service.health import Health
from rollup.service.web import serve
from tests.e2e.toy_program import toy_program
from tests.world import ToyWorld

TOKEN = "a token of the tests"
_machines: dict[bytes, Executor] = {}


def model_of_toy(policy: TracePolicy = TracePolicy.WITH_CLAIM) -> Model:
    """The toy program as a model; its machine is compiled once for all tests."""
    program = toy_program(policy)
    model = Model(program)
    model.__dict__["executor"] = _machines.setdefault(program.id, Executor(program, self_test=False))
    return model


class ProverWorld(ToyWorld):
    """Its chain has the toy program in both policies."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.programs = [self.program, toy_program(TracePolicy.ON_DISPUTE)]
        self.deployer.register(self.programs[1])

    def worker(self, name: str = "prover", queue: int = 64) -> InferenceWorker:
        client = self.client(name)
        worker = InferenceWorker(self.chain.signer(name), client.domain, self.chain.now, queue=queue)
        worker.hold(model_of_toy(), "toy")
        worker.hold(model_of_toy(TracePolicy.ON_DISPUTE), "later")
        return worker


@contextmanager
def served(worker: InferenceWorker, archive: Archive, token: str | None = TOKEN) -> Iterator[httpx.Client]:
    """A prover on a free port, and somebody who asks it."""
    server = serve(prover_app(worker, archive, Health(), token), "127.0.0.1", 0).start()
    try:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
            yield client
    finally:
        server.stop()


BEARER = {"authorization": f"Bearer {TOKEN}"}
