"""What the prover's tests stand on: an embedded chain with the toy program on it, and a prover over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from prover.executor import Executor
from prover.model import Model
from prover.service.app import prover_app
from prover.service.archive import Archive
from prover.service.worker import InferenceWorker
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.l1.node.embedded import EmbeddedChain
from rollup.service.health import Health
from rollup.service.web import serve
from rollup.settings import Parameters
from rollup.types import Duration
from tests.e2e.toy_program import toy_program

TOKEN = "a token of the tests"
ETHER = 10**18
TERMS = Parameters(window=Duration(600), clock=Duration(200), arity=2)
_machines: dict[bytes, Executor] = {}


def model_of_toy(policy: TracePolicy = TracePolicy.WITH_CLAIM) -> Model:
    """The toy program as a model; its machine is compiled once for all tests."""
    program = toy_program(policy)
    model = Model(program)
    model.__dict__["executor"] = _machines.setdefault(program.id, Executor(program, self_test=False))
    return model


@dataclass
class Stage:
    """One chain with the contracts and the toy program, in both policies."""

    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    programs: list[Program] = field(default_factory=lambda: [toy_program(policy) for policy in TracePolicy])

    def __post_init__(self) -> None:
        self.deployer = L1Client.deploy(self.chain, self.chain.signer("deployer"), TERMS)
        for program in self.programs:
            self.deployer.register(program)

    def client(self, name: str = "prover") -> L1Client:
        return self.deployer.using(self.chain.signer(name))

    def worker(self, name: str = "prover", queue: int = 16) -> InferenceWorker:
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
