"""The contracts of contracts/examples on a network, by the commands of docs/contracts.md: a real node, real services, real models."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e.documented import ROOT, Place, block, section

pytestmark = pytest.mark.anvil

SECTION = section("docs/contracts.md", "Examples on a development network")
DONE = ("(cd contracts && npm ci)",)
SHELL = block(SECTION, "sh", "deploy()")
MARKET = block(SECTION, "sh", "deploy PredictionMarket")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place.made(tmp_path_factory.mktemp("examples"), DONE)
    (place.folder / "contracts").symlink_to(ROOT / "contracts")
    with place.network(block(SECTION, "sh", "touchstone devnet")):
        yield place


def test_a_market_is_settled_by_the_digits_model(network: Place) -> None:
    said = network.run(network.script(SHELL + MARKET))
    # The label of the image.
    assert said.splitlines()[-1] == "the model says 7"
    assert "answered" in said


def test_a_request_by_hand_is_answered_and_another_is_cancelled(network: Place) -> None:
    said = network.run(network.script(SHELL + block(SECTION, "sh", "request cancel")))
    assert re.search(r"^state    answered$", said, re.MULTILINE) and "output   0: " in said
    assert "cancelled; claims that answer it may be posted until " in said


def test_three_drawn_provers_agree_and_their_answer_becomes_final(network: Place) -> None:
    image = block(SECTION, "sh", "request cancel").split("touchstone request ask")[0]
    said = network.run(network.script(SHELL + image + block(SECTION, "sh", "stake join digits")))
    assert re.search(r"^level    final$", said, re.MULTILINE) and re.search(r"^quorum   3$", said, re.MULTILINE)
    assert re.search(r"^paid     0x", said, re.MULTILINE)


def test_an_advertisement_is_hidden_by_the_model_of_texts(network: Place) -> None:
    said = network.run(network.script(SHELL + block(SECTION, "sh", "deploy ModerationRegistry")))
    assert re.search(r"^the post stands at 4,", said, re.MULTILINE), said


def test_a_token_gets_its_content_and_a_claim_proves_the_same(network: Place) -> None:
    before, after = MARKET.split("MARKET=")[0], block(SECTION, "sh", "deploy InferenceToken")
    said = network.run(network.script(SHELL + before + after))
    assert said.splitlines()[-1] == "verified: true"
