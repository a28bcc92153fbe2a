"""The client and the real sequencer's API over HTTP: they speak of the same things, and L1 bears them out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from rollup.client import AsyncClient, Client
from rollup.errors import ClientError
from rollup.l1.answers import ClaimStatus
from rollup.wire import hex_of
from tests.e2e.toy_program import toy_inputs
from tests.sequencer.api.world import ApiWorld
from tests.world import TERMS


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiWorld]:
    world = ApiWorld(tmp_path_factory.mktemp("sequencer"))
    world.prover.answer = world.inferred
    yield world
    world.stop()


@pytest.fixture
def client(network: ApiWorld) -> Iterator[Client]:
    with Client(network.url, l1=network.l1) as made:
        yield made


def reals(seed: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = toy_inputs(seed)
    return first / 256.0, second


def test_an_inference_becomes_final_and_is_verified(network: ApiWorld, client: Client) -> None:
    (model,) = client.models()
    assert (model.name, model.id, model.header) == ("toy", network.program.id, network.program.header)
    assert client.model("toy") == client.model(hex_of(model.id)) == client.model(model.id) == model
    answer = client.infer("toy", *reals(1))
    assert [output.shape for output in answer.outputs] == [(6,), (1,)]
    assert client.verify_inclusion(answer).status is ClaimStatus.UNKNOWN
    network.post_all()
    verified = client.verify_inclusion(answer)
    assert verified.status is ClaimStatus.POSTED and verified.inputs_checked
    view = client.get(answer.claim_id)
    assert view.state == "posted" and view.batch is not None and view.inclusion is not None
    assert view.final_after == view.batch.posted_at + TERMS.window
    network.pass_time(TERMS.window + 1)
    assert client.wait_final(answer, timeout=60).claim_id == answer.claim_id
    assert client.verify_inclusion(answer).final


def test_a_signed_claim_is_taken_once_and_found_in_the_lists(network: ApiWorld, client: Client) -> None:
    posted = network.claim(2)
    claim_id = client.claim(posted)
    assert client.claim(posted) == claim_id
    view = client.get(claim_id)
    assert view.state == "pending" and view.posted == posted and view.batch is None
    listed = list(client.claims(state="pending", model=posted.claim.model_id, claimant=posted.claim.claimant, page=1))
    assert claim_id in [one.claim_id for one in listed]
    assert all(one.posted is None for one in listed)


def test_claims_are_listed_over_pages_newest_first(network: ApiWorld, client: Client) -> None:
    made = [client.claim(network.claim(seed)) for seed in range(10, 15)]
    found = [view.claim_id for view in client.claims(page=2)]
    assert [claim_id for claim_id in found if claim_id in made] == made[::-1]
    assert len(found) == len(set(found))


def test_a_claim_that_somebody_else_posted_is_verified_without_a_signature(network: ApiWorld, client: Client) -> None:
    posted = network.claim(20)
    network.client("somebody").post_batch([posted])
    network.mirror.sync()
    claim_id = network.l1.claim_id(posted.claim)
    view = client.get(claim_id)
    assert view.taken_at is None and view.posted is not None and view.posted.signature == b""
    assert client.verify_inclusion(claim_id).status is ClaimStatus.POSTED


def test_refusals_come_with_the_sequencers_words(network: ApiWorld, client: Client) -> None:
    with pytest.raises(ClientError, match="no model nobody is offered here") as caught:
        client.model("nobody")
    assert caught.value.status == 404 and caught.value.problem["type"] == "urn:touchstone:problem:unknown-model"
    with pytest.raises(ClientError, match="sign with") as caught:
        client.claim(network.claim(21, signer=network.client("thief")))
    assert caught.value.status == 422


def test_events_tell_a_claims_life(network: ApiWorld) -> None:
    async def life(client: AsyncClient, seed: int) -> list[str]:
        answer = await client.infer("toy", *reals(seed))
        states = []
        async for event in client.events(answer.claim_id):
            assert event.claim_id == answer.claim_id
            states.append(event.state)
            if event.state == "pending":
                await asyncio.to_thread(network.post_all)
            else:
                return states
        return states

    async def play() -> list[list[str]]:
        async with AsyncClient(network.url) as client:
            return [await life(client, 30), await life(client, 31)]

    assert asyncio.run(play()) == [["pending", "posted"]] * 2


def test_the_network_is_described(network: ApiWorld, client: Client) -> None:
    found = client.network()
    assert found["chain_id"] == network.chain.chain_id and found["contract"] == network.l1.address
