"""What most tests stand on: a chain with the contracts and the toy program, accounts on it, and the claims they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rollup.claim import NO_ROOT, Claim, PostedClaim, input_root, join, output_root, output_types
from rollup.form.encoding import Header
from rollup.form.program import Program
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.l1.node.chain import Chain
from rollup.l1.node.embedded import EmbeddedChain
from rollup.settings import Parameters
from rollup.types import Duration, ModelId
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, trace_root_in_claim, values_of

TERMS = Parameters(window=Duration(600), clock=Duration(200), arity=2)
ETHER = 10**18

PROGRAM = toy_program()
INPUTS = toy_inputs()
RIGHT = values_of(PROGRAM, INPUTS)
"""All values of the program's execution on these inputs."""


def terms(**changes: int) -> Parameters:
    """``TERMS`` but for these."""
    return replace(TERMS, **changes)


def deploy(chain: Chain, signer: Signer, *programs: Program, parameters: Parameters = TERMS) -> L1Client:
    """Deploy the contracts and register these programs; the client is the deployer's."""
    deployer = L1Client.deploy(chain, signer, parameters)
    for program in programs:
        deployer.register(program)
    return deployer


def sign_bytes(
    client: L1Client,
    header: Header,
    inputs: bytes,
    outputs: bytes,
    *,
    model_id: ModelId,
    signer: L1Client | None = None,
    **changes: Any,
) -> PostedClaim:
    """Sign a claim about these inputs and outputs, whether or not anybody computed them.

    ``signer`` signs instead of the claimant; ``changes`` are values of the other fields.
    """
    fields = {
        "model_id": model_id,
        "claimant": client.account,
        "nonce": 1,
        "valid_until": client.chain.now() + 100_000,
        "request_id": bytes(32),
        "input_root": input_root(header, inputs),
        "output_root": output_root(header, outputs),
        "trace_root": NO_ROOT,
    }
    return (signer or client).sign(Claim(**(fields | changes)), inputs, outputs)


def sign_claim(
    client: L1Client,
    program: Program,
    inputs: Sequence[np.ndarray],
    values: Sequence[np.ndarray] | None = None,
    outputs: Sequence[np.ndarray] | None = None,
    **changes: Any,
) -> PostedClaim:
    """Sign a claim about the program's execution on these inputs: a true one, unless ``values``, which stand for all values
    of the execution, ``outputs`` or the ``changes`` to its fields are wrong.
    """
    values = values_of(program, inputs) if values is None else values
    outputs = outputs_of(program, values) if outputs is None else outputs
    if "trace_root" not in changes:
        changes["trace_root"] = trace_root_in_claim(program, Published(program, values))
    given, said = join(inputs, program.header.inputs), join(outputs, output_types(program.header))
    return sign_bytes(client, program.header, given, said, **({"model_id": program.id} | changes))


@dataclass(kw_only=True)
class ToyWorld:
    """A chain in this process with the contracts and a program, which is the toy unless a test says otherwise."""

    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    program: Program = PROGRAM
    parameters: Parameters = TERMS
    nonce: int = 0

    def __post_init__(self) -> None:
        self.deployer = deploy(self.chain, self.chain.signer("deployer"), self.program, parameters=self.parameters)

    def client(self, name: str, deposit: int = 0) -> L1Client:
        """The account of this name. ``deposit``: what it deposits now if it has less than a claim's bond."""
        client = self.deployer.using(self.chain.signer(name))
        if deposit and client.balance(client.account) < self.parameters.claim_bond:
            client.deposit(deposit)
        return client

    def sign(
        self,
        by: L1Client,
        inputs: Sequence[np.ndarray] = INPUTS,
        values: Sequence[np.ndarray] | None = None,
        **changes: Any,
    ) -> PostedClaim:
        """A claim with a nonce that was not used before, as ``sign_claim`` makes it."""
        self.nonce += 1
        return sign_claim(by, self.program, inputs, values, **({"nonce": self.nonce} | changes))
