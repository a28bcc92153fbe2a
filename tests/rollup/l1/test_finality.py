"""How sure of a block one wants to be."""

from __future__ import annotations

import pytest

from rollup.errors import ChainError
from rollup.l1.node.embedded import EmbeddedChain
from rollup.l1.node.finality import LATEST, Finality
from tests.anvil import Anvil


def test_a_finality_is_one_word() -> None:
    for word in ("latest", "safe", "finalized", "12"):
        assert str(Finality.parse(f" {word} ")) == word
    assert Finality.parse("0") == Finality.parse("latest") == LATEST
    for word in ("", "final", "-1", "1.5", "1e3", "٣", "12345678"):
        with pytest.raises(ChainError, match="use latest, safe, finalized"):
            Finality.parse(word)


@pytest.mark.anvil
def test_the_newest_block_that_is_final_enough() -> None:
    with Anvil(slots=4) as node:
        chain = node.chain()
        node.mine(20)
        heads = {str(one): chain.head(one).number for one in map(Finality.parse, ("latest", "safe", "finalized", "7"))}
        assert heads == {"latest": 20, "safe": 16, "finalized": 12, "7": 13}
        assert chain.head(Finality.parse("100")).number == 0
        parent = chain.block(chain.head().parent)
        assert parent == chain.block(19)
        assert chain.block(21) is None
        assert chain.block(b"\x01" * 32) is None
        assert chain.lag(chain.head().timestamp + 5) == 5


def test_every_block_of_the_embedded_chain_is_final() -> None:
    chain = EmbeddedChain()
    chain.mine(3)
    assert {chain.head(Finality.parse(word)).number for word in ("latest", "safe", "finalized", "0")} == {3}
    assert chain.head(Finality.parse("2")) == chain.block(1)
