"""A sequencer's page without a network: the store knows an eventful chain, and thousands of claims after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from challenger.defender import Behaviour
from rollup import wire
from rollup.archive import Programs
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.events import BatchPosted, ClaimPosted, Logged
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.service.health import Health
from rollup.service.limits import WebLimits
from rollup.service.server import Server, serve
from rollup.types import Root, Timestamp
from sequencer.api.app import create_api
from sequencer.api.page import PageOptions, Portrait
from sequencer.api.parts import Parts
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.sequencer import Sequencer
from sequencer.states import NewClaim, OfferedModel
from sequencer.store import Store
from tests.e2e.lies import INPUTS, PROGRAMS, lie_in_op
from tests.e2e.network import NetworkWorld
from tests.sequencer.examples import new_claim
from tests.world import TERMS
from touchstone.models.portrait import portrait

LIMITS = WebLimits(body_bytes=2 << 20, per_second=10_000, burst=10_000)
EXPLORER = "https://explorer.example/{kind}/{id}"
PLAYGROUND = "openai/v1"
PREFIX = "/deep/below"
WHO = tuple(wire.address_of(f"0x{digit * 40}", "account") for digit in "ab")
APART = 60
"""Seconds between two batches of the busy time."""


OUTPUT = {"name": "output0", "largest": 0.00238895, "agreement": 1.0, "cosine": 0.9999999749462274, "saturated": 0}
FIDELITY = {"calibration": {"samples": 32, "outputs": [OUTPUT], "saturated_inputs": 0}}


def measured(program: Program) -> Portrait:
    """The toy taken apart, as if it had been lowered from a float model."""
    found = portrait(program)
    return replace(found, figures=found.figures | {"fidelity": FIDELITY})


@dataclass
class PageWorld:
    """An honest claim, a false one with its verdict, and one that is disputed now; then ``claims`` in ``batches``.

    ``spoken``: claims of the endpoint's answers.
    """

    folder: Path
    claims: int = 10_000
    batches: int = 50
    spoken: list[NewClaim] = field(default_factory=list)
    store: Store = field(init=False)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
        self.store = Store.open(f"sqlite:///{self.folder}/page.db")
        network.sequencer = Sequencer(network.client("sequencer"), self.store)
        network.watch()
        network.claim("honest", INPUTS)
        lie_in_op(4, 0, True)(network, Behaviour.PUBLISHES)
        network.settle()
        lie_in_op(7, 0, True)(network, Behaviour.WITHHOLDS)
        network.round()
        network.round()
        network.sequencer.poll()
        self.program, client = network.program, network.deployer
        self.store.models.add(OfferedModel.of(self.program, "toy", self.now))
        self.be_busy()
        programs = Programs(self.folder / "models")
        programs.add(self.program)
        intake = Intake(client, self.store, Admission(client, self.store))
        parts = Parts(
            self.store,
            client,
            intake,
            programs,
            Health(),
            now=lambda: self.now + 4.0,
            page=PageOptions(EXPLORER, PLAYGROUND, measured),
        )
        app = create_api(parts, LIMITS)
        add_endpoint(app, self)
        # The same app twice, once as behind a proxy that serves it below a path.
        app.mount(PREFIX, app)
        self.server = serve(app, "127.0.0.1", 0).start()
        self.url = self.server.url

    @property
    def now(self) -> Timestamp:
        head = self.store.l1.head()
        assert head is not None
        return head.time

    def accept(self, count: int, first: int) -> list[NewClaim]:
        """Claims that come in now."""
        found = [
            replace(new_claim(number, WHO[number % 2], nonce=number, model=self.program.id), taken_at=self.now)
            for number in range(first, first + count)
        ]
        self.store.claims.accept(found)
        return found

    def post(self, claims: list[NewClaim], after: int) -> None:
        """A batch of these claims, so many seconds later."""
        head = self.store.l1.head()
        assert head is not None
        number, at = head.number + 1, Timestamp(head.time + after)
        digest, transaction = (sha256(f"{what} {number}".encode()).digest() for what in ("block", "transaction"))
        block = Block(number, digest, at, head.hash)
        closes_at = Timestamp(self.store.l1.clock().reading(at) + TERMS.window)
        events: list[Any] = [BatchPosted(1000 + number, Root(digest), len(claims), at, closes_at)]
        events += [
            ClaimPosted(1000 + number, index, one.claim_id, one.posted.claim, one.posted.inputs, one.posted.outputs)
            for index, one in enumerate(claims)
        ]
        logged = tuple(
            Logged(event, number, index, transaction) for index, event in enumerate(events if claims else ())
        )
        seen = (*self.store.l1.seen()[-10:], block)
        assert self.store.l1.apply(News(None, logged, block, seen), head.hash, {})

    def be_busy(self) -> None:
        each = self.claims // self.batches
        for batch in range(self.batches):
            self.post(self.accept(each, 10_000 + batch * each), APART)

    def receipt(
        self, about: NewClaim, request: bytes = b"", response: bytes = b"", nonce: bytes = b"7"
    ) -> dict[str, Any]:
        """A receipt of one answer, as an endpoint signs them; the page checks all of it but the signature."""
        claim = about.posted.claim
        commitment = sha256(nonce + bytes(4) + sha256(request).digest()).digest()
        answer = {
            "index": 0,
            "claim_nonce": str(claim.nonce),
            "input_root": wire.hex_of(claim.input_root),
            "seed_commitment": wire.hex_of(commitment),
            "seed": wire.hex_of(commitment[:8]),
            "prompt_tokens": 3,
            "tokens": [1, 2],
            "cuts": [],
        }
        return {
            "id": wire.hex_of(sha256(about.claim_id).digest()),
            "endpoint": "chat/completions",
            "request_sha256": wire.hex_of(sha256(request).digest()),
            "response_sha256": wire.hex_of(sha256(response).digest()),
            "model_id": wire.hex_of(claim.model_id),
            "temperature_millionths": 0,
            "nonce": wire.hex_of(nonce),
            "nonce_by": "caller",
            "created": self.now,
            "posted_by": self.now + 600,
            "prover": claim.claimant,
            "answers": [answer],
            "chain_id": 1,
            "contract": claim.claimant,
        }

    def stop(self) -> None:
        self.server.stop()
        self.store.close()


def add_endpoint(app: FastAPI, world: PageWorld) -> None:
    """An OpenAI-compatible endpoint that repeats what it was told, word by word, and claims it."""

    @app.get(f"/{PLAYGROUND}/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": "parrot", "object": "model"}]}

    @app.get(f"/{PLAYGROUND}/receipts/{{receipt}}")
    def receipt(receipt: str) -> dict[str, Any]:
        known = {wire.hex_of(sha256(one.claim_id).digest()): one.claim_id for one in world.spoken}
        claims = [{"index": 0, "claim_id": wire.hex_of(known[receipt])}] if receipt in known else []
        return {"claims": claims}

    @app.post(f"/{PLAYGROUND}/chat/completions", response_model=None)
    async def chat(request: Request) -> StreamingResponse | JSONResponse:
        asked = await request.json()
        if request.headers.get("authorization") != "Bearer secret":
            error = {"message": "the key is not known; ask for one", "type": "invalid_request_error", "code": "key"}
            return JSONResponse({"error": error}, 401)
        assert asked["stream"] is True
        (claim,) = world.accept(1, 90_000 + len(world.spoken))
        world.spoken.append(claim)

        async def said() -> AsyncIterator[bytes]:
            for word in asked["messages"][-1]["content"].split():
                piece = json.dumps({"choices": [{"index": 0, "delta": {"content": f"{word} "}}]})
                # Cut where nobody expects it.
                yield f"data: {piece[:9]}".encode()
                await asyncio.sleep(0.01)
                yield f"{piece[9:]}\n\n".encode()
            event = {"choices": [{"index": 0, "delta": {}}], "touchstone": world.receipt(claim)}
            yield f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()

        return StreamingResponse(said(), media_type="text/event-stream")
