"""A deployment on an embedded chain with claims about the toy program, and the honest answers about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rollup import wire
from rollup.batch import Batch, Inclusion
from rollup.claim import ClaimId, PostedClaim
from rollup.documents.claims import InclusionProof, SignedClaim
from rollup.documents.models import ModelDocument, TensorView, policy_name
from rollup.form.encoding import TracePolicy
from rollup.form.interface import Interface, Named
from rollup.form.program import Program
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted
from rollup.l1.node.chain import Chain
from rollup.l1.node.embedded import EmbeddedChain
from rollup.settings import Parameters
from rollup.types import Duration
from tests.e2e.toy_program import outputs_of, toy_inputs, toy_program, values_of
from tests.world import deploy, sign_claim

WINDOW = Duration(60)
INTERFACE = Interface(
    (Named("x", "float32"), Named("y", "int16")),
    (Named("spread", "float32"), Named("where", "int32")),
    {"of": [0], "where": 1},
)


def toy(policy: TracePolicy = TracePolicy.WITH_CLAIM, **changes: Any) -> Program:
    """The toy program under other names; ``changes``: of its interface."""
    return replace(toy_program(policy), interface=replace(INTERFACE, **changes))


PROGRAM = toy()
OTHER = toy(TracePolicy.ON_DISPUTE)
"""Another model id with the same inputs and outputs."""


def described(program: Program) -> dict[str, Any]:
    """A model as the service lists it."""
    return ModelDocument(
        id=program.id,
        name="toy",
        inputs=TensorView.inputs_of(program.header, program.interface),
        outputs=TensorView.outputs_of(program.header, program.interface),
        header=program.header_bytes,
        interface=program.interface_bytes,
        proof=list(program.interface_proof),
        policy=policy_name(program.header.policy),
        retired=False,
        program=True,
    ).model_dump()


def answered(claim_id: ClaimId, outputs: Any) -> dict[str, Any]:
    """To ``POST /v1/infer``."""
    counts = {"clamped": 0, "saturated": 0, "saturated_inside": 0}
    return {"claim_id": wire.hex_of(claim_id), "state": "pending", "outputs": outputs, **counts}


MODEL = described(PROGRAM)


@dataclass(frozen=True)
class Made:
    """A claim, and the reals that it is about."""

    claim_id: ClaimId
    posted: PostedClaim
    inputs: tuple[np.ndarray, ...]
    outputs: list[Any]


@dataclass
class ClientWorld:
    chain: Chain = field(default_factory=EmbeddedChain)
    signer: Signer | None = None
    window: Duration = WINDOW
    inclusions: dict[ClaimId, tuple[Inclusion, dict[str, Any]]] = field(default_factory=dict)
    _nonce: int = 0

    @cached_property
    def l1(self) -> L1Client:
        signer = self.signer
        if signer is None:
            assert isinstance(self.chain, EmbeddedChain)
            signer = self.chain.signer("claimant")
        terms = Parameters(window=self.window, clock=Duration(10))
        client = deploy(self.chain, signer, PROGRAM, OTHER, parameters=terms)
        client.deposit(100 * client.parameters.claim_bond)
        return client

    def make(self, seed: int = 0, model: Program = PROGRAM, ends: int = 0) -> Made:
        """Run the toy program and sign what came out; ``model``: the program that the claim names; ``ends``: how many of the
        first input's numbers lie at an end of its format.
        """
        self._nonce += 1
        integers = toy_inputs(seed)
        integers[0][:ends] = np.where(integers[0][:ends] < 0, -(1 << 15), (1 << 15) - 1)
        values = values_of(PROGRAM, integers)
        outputs = outputs_of(PROGRAM, values)
        posted = sign_claim(self.l1, model, integers, values, nonce=self._nonce)
        reals = (integers[0].astype(np.float32) / 256, integers[1])
        return Made(self.l1.claim_id(posted.claim), posted, reals, [(outputs[0] / 256.0).tolist(), outputs[1].tolist()])

    def post(self, *claims: Made) -> None:
        receipt = self.l1.post_batch([one.posted for one in claims])
        event, batch = receipt.one(BatchPosted), Batch(tuple(one.claim_id for one in claims))
        at = {
            "number": event.batch,
            "root": wire.hex_of(event.root),
            "posted_at": event.posted_at,
            "closes_at": event.closes_at,
            "transaction": wire.hex_of(receipt.transaction),
        }
        for index, one in enumerate(claims):
            self.inclusions[one.claim_id] = (Inclusion(event.batch, index, batch.siblings(index)), at)

    def view(self, made: Made, state: str | None = None) -> dict[str, Any]:
        """What an honest sequencer says about a claim; or one that lies about its state."""
        inclusion, batch = self.inclusions.get(made.claim_id, (None, None))
        if state is None:
            word = "pending" if inclusion is None else self.l1.status(made.posted.claim, inclusion).name.lower()
            state = word
        return {
            "claim_id": wire.hex_of(made.claim_id),
            "state": state,
            "reason": None,
            **SignedClaim.of(made.posted).model_dump(),
            "taken_at": 4_102_444_800,
            "batch": batch,
            "inclusion": None if inclusion is None else InclusionProof.of(inclusion).model_dump(),
            "final_after": None,
            "disputed": False,
            "open_disputes": 0,
            "saturated": None,
        }

    def answer(self, made: Made) -> dict[str, Any]:
        return answered(made.claim_id, made.outputs)
