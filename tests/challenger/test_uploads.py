"""Uploaded tensors are found again, from memory or from L1, and a watcher's memory does not grow with them."""

from __future__ import annotations

import numpy as np
import pytest

from challenger.defender import Behaviour
from challenger.state.l1_state import L1State
from challenger.state.uploads import Uploads
from rollup.claim import ClaimId, join
from rollup.errors import ClaimError
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from tests.contracts.dispute_gas import upload
from tests.e2e.lies import PROGRAMS
from tests.e2e.network import NetworkWorld
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, values_of, with_lie


@pytest.fixture(scope="module")
def posted() -> tuple[NetworkWorld, list[ClaimId]]:
    """Three claims about uploaded inputs."""
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    honest = network.client("honest")
    found = []
    for seed in range(3):
        tensors = [upload(honest, array.tobytes()) for array in toy_inputs(seed)]
        honest.assemble(network.program.id, False, tensors)
        found.append(network.claim("honest", toy_inputs(seed), uploaded=True).claim_id)
    return network, found


@pytest.mark.parametrize("held", [0, 1300, 1 << 20])
def test_uploaded_inputs_are_found_however_little_is_held(
    posted: tuple[NetworkWorld, list[ClaimId]], held: int
) -> None:
    network, claims = posted
    l1 = L1State(uploads=Uploads(held))
    l1.read(network.client("reader"))
    for _ in range(2):
        for seed, claim_id in enumerate(claims):
            inputs, _ = l1.data_of(claim_id)
            assert inputs == join(toy_inputs(seed), network.program.header.inputs)
    assert l1.uploads._chunks.currsize == sum(len(chunk) for chunk in l1.uploads._chunks.values()) <= max(held, 1200)
    assert len(l1.uploads.blocks) == 6


def test_an_upload_that_its_block_no_longer_holds_is_an_error_in_words(
    posted: tuple[NetworkWorld, list[ClaimId]],
) -> None:
    network, claims = posted
    l1 = L1State(uploads=Uploads(0))
    l1.read(network.client("reader"))
    l1.uploads.blocks = dict.fromkeys(l1.uploads.blocks, 1)
    with pytest.raises(ClaimError, match="no longer in the block where it was"):
        l1.data_of(claims[0])


def test_an_upload_before_what_was_read_is_an_error_in_words(posted: tuple[NetworkWorld, list[ClaimId]]) -> None:
    network, claims = posted
    l1 = L1State()
    l1.read(network.client("reader"))
    l1.uploads = Uploads()
    with pytest.raises(ClaimError, match="before the block from which L1 was read"):
        l1.data_of(claims[0])


def test_a_false_claim_about_an_uploaded_input_is_convicted_though_nothing_of_it_is_held() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    watcher, _ = network.watch()
    watcher.l1.uploads.held_bytes = 0
    liar, inputs = network.client("liar"), toy_inputs(5)
    liar.assemble(network.program.id, False, [upload(liar, array.tobytes()) for array in inputs])
    upload(liar, np.arange(600, dtype=np.int16).tobytes())
    values = with_lie(network.program, values_of(network.program, inputs), 4)
    trace, outputs = Published(network.program, values), outputs_of(network.program, values)
    claimed = network.claim("liar", inputs, trace, outputs, Behaviour.WITHHOLDS, uploaded=True)
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID
