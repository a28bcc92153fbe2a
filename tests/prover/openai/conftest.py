"""One network for all tests of the endpoint in a process: a chain, a sequencer, and a prover that serves a tiny model, for texts and for
embeddings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from openai import OpenAI

from rollup.client import Client
from tests.prover.openai.world import EndpointWorld, Running, tiny_embedding

# LiteLLM would look for newer prices on the Internet, and LangChain would report there.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LANGSMITH_TRACING"] = "false"


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with EndpointWorld(embedding=tiny_embedding()).running(tmp_path_factory.mktemp("endpoint")) as running:
        yield running


@pytest.fixture(scope="session")
def client(running: Running) -> OpenAI:
    return OpenAI(base_url=running.openai, api_key=running.key(), max_retries=0)


@pytest.fixture(scope="session")
def checker(running: Running) -> Iterator[Client]:
    """A client of the prover that believes L1."""
    with Client(running.url, l1=running.l1) as found:
        yield found
