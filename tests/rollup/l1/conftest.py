"""One deployment for the tests of the L1 client."""

from __future__ import annotations

import pytest

from rollup.l1.client import L1Client
from rollup.l1.node.embedded import EmbeddedChain
from tests.world import TERMS


@pytest.fixture(scope="module")
def chain() -> EmbeddedChain:
    return EmbeddedChain()


@pytest.fixture(scope="module")
def client(chain: EmbeddedChain) -> L1Client:
    return L1Client.deploy(chain, chain.signer("deployer"), TERMS)
