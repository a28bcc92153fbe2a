"""The README's section *Run a network*, command by command, with real processes on free ports in a folder of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.documented import Place, block, section

SECTION = section("README.md", "Run a network")
SETUP = ("make setup && . .venv/bin/activate", ". .venv/bin/activate")
"""Done already for whoever runs the tests: what it leads to is on PATH."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place.made(tmp_path_factory.mktemp("readme"), SETUP)
    with place.network(block(SECTION, "sh", "touchstone devnet")):
        yield place


@pytest.fixture(scope="module")
def final(network: Place) -> str:
    """The second block: what a model of one's own says, when it has become final."""
    return network.run(network.script(block(SECTION, "sh", "touchstone model build")))


def test_there_are_five_commands() -> None:
    lines = (block(SECTION, "sh", "touchstone devnet") + block(SECTION, "sh", "touchstone model build")).splitlines()
    assert lines[0] == SETUP[0]
    assert len([line for line in lines if line != SETUP[1]]) == 5


def test_a_model_of_ones_own_is_claimed_and_final_by_l1s_word(final: str) -> None:
    lines = final.splitlines()
    assert any("held out, 35 samples" in line for line in lines)
    assert any(line.startswith("output   output: [") for line in lines)
    assert lines[-1] == "state    final, by L1's word: these outputs of this input"


def test_the_network_holds_the_claim_for_final(network: Place, final: str) -> None:
    (claim,) = re.findall(r"^claim    (0x[0-9a-f]{64})$", final, re.MULTILINE)
    listed = network.run(["touchstone", "claims", "list", "--model", "wine", "--state", "final"])
    assert claim in listed


def test_a_lie_is_convicted(network: Place, final: str) -> None:
    said = network.run(network.script(block(SECTION, "sh", "touchstone lie")))
    assert "invalid" in said.lower(), said
    assert "invalid" in network.run(["touchstone", "claims", "list", "--model", "wine", "--state", "invalid"])


def test_the_client_in_python_verifies_what_it_was_told(network: Place, final: str) -> None:
    said = network.run([sys.executable, "-c", network.at_free_ports(block(SECTION, "python", "rollup.client"))])
    assert re.search(r"^FINAL at block \d+$", said, re.MULTILINE), said
