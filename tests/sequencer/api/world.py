"""A whole sequencer in one process for tests of its public API: an embedded chain, SQLite, a real web server, and a prover
whose manners each test chooses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np

from rollup import wire
from rollup.archive import Programs
from rollup.claim import PostedClaim
from rollup.documents.claims import SignedClaim
from rollup.l1.client import L1Client
from rollup.numbers import quantised
from rollup.service.health import Health
from rollup.service.limits import WebLimits
from rollup.service.server import Server, serve
from rollup.types import Timestamp
from sequencer.api.app import create_api
from sequencer.api.page import PageOptions
from sequencer.api.parts import Parts
from sequencer.api.prover import ProverClient
from sequencer.batcher import Batcher
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.writer import Writer
from sequencer.mirror import Mirror
from sequencer.states import OfferedModel
from sequencer.store import Store
from tests.e2e.toy_program import toy_inputs
from tests.world import ETHER, ToyWorld
from touchstone.models.portrait import portrait

LIMITS = WebLimits(body_bytes=2 << 20, per_second=10_000, burst=10_000, body_seconds=1.0, header_seconds=1.0)
TOKEN = "open sesame"


class ScriptedProver:
    """An HTTP server that answers ``POST /v1/infer`` as ``answer`` says: (status, body) for a request body."""

    def __init__(self) -> None:
        self.answer: Callable[[dict], tuple[int, bytes]] = lambda _: (503, b"{}")
        self.requests: list[dict] = []
        self.authorizations: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append(body)
                outer.authorizations.append(self.headers["authorization"])
                status, data = outer.answer(body)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class ApiWorld(ToyWorld):
    """``l1``: as the sequencer's account sees it."""

    folder: Path
    limits: WebLimits = LIMITS
    prover_seconds: float = 20.0
    database: str | None = None
    servers: list[Server] = field(default_factory=list)
    parts_made: list[Parts] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store = Store.open(self.database or f"sqlite:///{self.folder}/sequencer.db")
        self.l1 = self.client("sequencer")
        self.mirror = Mirror(self.l1, self.store)
        self.mirror.sync()
        self.admission = Admission(self.l1, self.store)
        self.writer = Writer(self.store).start()
        self.intake = Intake(self.l1, self.store, self.admission, self.writer)
        self.batcher = Batcher(self.l1, self.store, self.mirror)
        self.programs = Programs(self.folder / "models")
        self.programs.add(self.program)
        self.offer("toy")
        self.health = Health()
        self.prover = ScriptedProver()
        self.claimant = self.client("claimant", deposit=100 * ETHER)
        self.mirror.sync()
        self.url = self.serve().url
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def offer(self, name: str) -> None:
        program = self.program
        model = OfferedModel.of(program, name, Timestamp(int(time.time())))
        self.store.models.add(model)

    def parts(self, store: Store | None = None, **changes) -> Parts:
        prover = ProverClient(self.prover.url, TOKEN, self.l1.domain, self.prover_seconds, answer_bytes=1 << 18)
        return Parts(
            store or self.store,
            self.l1,
            self.intake,
            self.programs,
            self.health,
            prover,
            kept_seconds=0.0,
            **{"page": PageOptions(portray=portrait), **changes},
        )

    def serve(self, limits: WebLimits | None = None, **changes) -> Server:
        """One more process of the same sequencer, as far as callers can tell."""
        self.parts_made.append(self.parts(**changes))
        server = serve(create_api(self.parts_made[-1], limits or self.limits), "127.0.0.1", 0).start()
        self.servers.append(server)
        return server

    def claim(
        self, seed: int = 0, by: L1Client | None = None, values: list[np.ndarray] | None = None, **changes
    ) -> PostedClaim:
        """A signed claim about the toy; ``values``: what its claimant takes for the execution; ``changes``: other fields."""
        return self.sign(by or self.claimant, toy_inputs(seed), values, **changes)

    def inferred(self, body: dict) -> tuple[int, bytes]:
        """What an honest prover answers."""
        inputs = [
            quantised(np.asarray(one, dtype=np.float64), tensor)
            for one, tensor in zip(body["inputs"], self.program.header.inputs, strict=True)
        ]
        posted = self.sign(self.claimant, inputs)
        answer = {
            "claim_id": wire.hex_of(self.l1.claim_id(posted.claim)),
            "posted": SignedClaim.of(posted).model_dump(),
            "outputs": [],
            "clamped": 0,
            "saturated": 0,
            "saturated_inside": 0,
        }
        return 200, json.dumps(answer).encode()

    def hand_in(self, posted: PostedClaim, **headers: str) -> httpx.Response:
        return self.http.post("/v1/claims", json=SignedClaim.of(posted).model_dump(), headers=headers)

    def post_all(self) -> None:
        """What waits goes to L1, and is read from there."""
        self.batcher.flush()
        self.sync()

    def pass_time(self, seconds: int) -> None:
        self.chain.advance(seconds)
        self.chain.mine()
        self.sync()

    def sync(self) -> None:
        """Read what is new on L1."""
        self.mirror.sync()
        self.admission.refresh()

    def stop(self) -> None:
        self.http.close()
        for server in self.servers:
            server.stop()
        self.writer.stop()
        self.prover.stop()
        self.store.close()


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds; it holds soon, or never."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
