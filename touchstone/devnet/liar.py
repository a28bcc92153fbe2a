"""A claimant that lies, for a development network: ``python -m touchstone.devnet.liar RPC DEPLOYMENT SEQUENCER MODEL``.

Now and then it claims something false about a digit, and plays the dispute to its bitter end, showing only what it must.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from challenger.defender import Behaviour, Defender
from challenger.trace import ValueTrace
from prover import Model, load
from prover.trace import Trace
from rollup import wire
from rollup.claim import Claim, PostedClaim, input_root, join, output_root, output_types
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.keys import random_nonce
from rollup.service import logs
from rollup.service.loop import Loop
from rollup.service.server import Lifetime
from touchstone.digits import digits
from touchstone.network import resumed
from touchstone.services.l1 import chain_of, signer_of
from touchstone.settings import ChainSettings
from touchstone.settings import load as load_settings

EVERY = 45.0
"""Seconds between two lies."""

VALID_FOR = 600
_log = logs.logger("touchstone.liar")


class Liar:
    """One account's lies, and their defence."""

    def __init__(self, client: L1Client, sequencer: str, model: Model, seed: int = 0) -> None:
        self._client, self._sequencer, self._model = client, sequencer, model
        self._rng = np.random.default_rng(seed)
        self._images = digits().images
        self.defender = Defender(client, Behaviour.WITHHOLDS, first=client.first)

    def lie(self) -> None:
        """Change one element of one value, let all that follows from it follow, and claim that."""
        bond = self._client.parameters.claim_bond
        if self._client.balance(self._client.account) < bond:
            self._client.deposit(bond)
        posted, trace = self._false()
        answer = httpx.post(
            f"{self._sequencer}/v1/claims", json=wire.posted_json(posted), timeout=30, trust_env=False
        )
        answer.raise_for_status()
        claim_id = self._client.claim_id(posted.claim)
        self.defender.uphold(claim_id, self._model.program, trace)
        _log.info("lied", claim_id=f"0x{claim_id.hex()}")

    def _false(self) -> tuple[PostedClaim, ValueTrace]:
        program = self._model.program
        header = program.header
        inputs = self._model.quantize(self._images[int(self._rng.integers(len(self._images)))])
        values: list[Any] = list(Trace.of(self._model.executor, inputs).values())
        target = int(self._rng.integers(len(header.inputs), header.values))
        wrong = values[target].copy()
        wrong.reshape(-1)[int(self._rng.integers(wrong.size))] ^= int(self._rng.integers(1, 128))
        values = resumed(program, [*values[:target], wrong])
        trace = ValueTrace(program, values)
        input_bytes = join(inputs, header.inputs)
        output_bytes = join([values[value] for value, _ in header.outputs], output_types(header))
        claim = Claim(
            program.id,
            self._client.account,
            random_nonce(),
            self._client.chain.now() + VALID_FOR,
            bytes(32),
            input_root(header, input_bytes),
            output_root(header, output_bytes),
            trace.root,
        )
        return self._client.sign(claim, input_bytes, output_bytes), trace


def main(arguments: Sequence[str]) -> None:
    rpc, deployment, sequencer, model = arguments
    logs.configure()
    settings = load_settings(ChainSettings)
    chain = chain_of(settings.model_copy(update={"rpc": rpc}))
    client = Deployment.load(Path(deployment)).client(chain, signer_of(settings))
    liar = Liar(client, sequencer, load(model), seed=int(time.time()))
    lying, defending = Loop("lie", liar.lie, EVERY), Loop("defend", liar.defender.poll, 1.0)
    lifetime = Lifetime()
    lying.start()
    defending.start()
    lifetime.wait()
    lying.stop()
    defending.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
