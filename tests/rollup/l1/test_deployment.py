"""A deployment's file: what is written is read, and what does not fit the chain is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollup.errors import ChainError, FileError
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.embedded import EmbeddedChain
from rollup.settings import Parameters
from tests.world import TERMS


def test_a_deployment_comes_back_as_it_was_saved(client: L1Client, chain: EmbeddedChain, tmp_path: Path) -> None:
    deployment = Deployment.of(client)
    deployment.save(tmp_path / "deployment.json")
    assert Deployment.load(tmp_path / "deployment.json") == deployment
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.json"]
    again = deployment.client(chain)
    assert (again.address, again.first, again.parameters) == (client.address, client.first, TERMS)


def test_the_block_is_the_first_that_holds_the_contract(client: L1Client, chain: EmbeddedChain) -> None:
    assert chain.call(client.address, bytes(4), block=client.first - 1) == b""
    assert chain.web3.eth.get_code(client.address, client.first)
    assert not chain.web3.eth.get_code(client.address, client.first - 1)


def test_what_does_not_fit_the_chain_is_named(client: L1Client, chain: EmbeddedChain) -> None:
    good = Deployment.of(client)
    with pytest.raises(ChainError, match="the deployment is on chain 1;"):
        replace(good, chain_id=1).client(chain)
    for other in ({"block_hash": bytes(32)}, {"block": good.block - 1}):
        with pytest.raises(ChainError, match=r"has another block \d+, .* another chain, or one that was begun anew"):
            replace(good, **other).client(chain)
    with pytest.raises(ChainError, match="lacks block 1000000, which the contract was deployed in"):
        replace(good, block=1_000_000).client(chain)
    with pytest.raises(ChainError, match="there is no contract at"):
        replace(good, contract=client.account).client(chain)
    for name in ("requests", "adapter"):
        with pytest.raises(ChainError, match=f"there is no contract at {client.account}"):
            replace(good, **{name: client.account}).client(chain)
    other = Deployment.of(L1Client.deploy(chain, chain.signer("deployer"), TERMS))
    with pytest.raises(
        ChainError, match=f"the Requests contract .* belongs to {other.contract}, not to {good.contract}"
    ):
        replace(good, requests=other.requests).client(chain)
    with pytest.raises(ChainError, match=f"the OracleAdapter contract .* belongs to {other.requests}"):
        replace(good, adapter=other.adapter).client(chain)
    with pytest.raises(ChainError, match="check the address and the gas"):
        replace(good, requests=good.contract).client(chain)
    with pytest.raises(ChainError, match=r"has window 600, the deployment says 3600"):
        replace(good, parameters=Parameters(clock=TERMS.clock, arity=TERMS.arity)).client(chain)
    with pytest.raises(ChainError, match="check the address"):
        replace(good, contract=client.game_address).client(chain)


Spoil = Callable[[dict[str, Any]], object]

DAMAGE: dict[str, Spoil] = {
    "lacks": lambda data: data.pop("block"),
    "nobody knows": lambda data: data.update(extra=1),
    "chain_id is not a whole number": lambda data: data.update(chain_id="1"),
    "block does not fit": lambda data: data.update(block=-1),
    "block_hash is no hash": lambda data: data.update(block_hash="0x12"),
    "contract is no address": lambda data: data.update(contract="0x12"),
    "requests is no address": lambda data: data.update(requests=12),
    "adapter is no address": lambda data: data.update(adapter="0x" + "g" * 40),
    "parameters is no object": lambda data: data.update(parameters=[]),
    "parameters.reward is not an amount of wei": lambda data: data["parameters"].update(reward=1),
    "parameters.window is not a whole number": lambda data: data["parameters"].update(window=True),
    "must be positive": lambda data: data["parameters"].update(window=0),
}


@pytest.mark.parametrize("sentence", DAMAGE)
def test_a_damaged_file_is_named_with_its_field(client: L1Client, tmp_path: Path, sentence: str) -> None:
    data = Deployment.of(client).as_json()
    DAMAGE[sentence](data)
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ChainError, match=sentence) as refused:
        Deployment.load(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"[" * 50_000, b" " * 100_000])
def test_a_file_that_is_no_deployment_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "deployment.json"
    path.write_bytes(content)
    with pytest.raises(ChainError, match="is damaged"):
        Deployment.load(path)


def test_a_file_that_cannot_be_read_or_written_is_named(client: L1Client, tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="name the file that 'touchstone deploy' wrote"):
        Deployment.load(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="name a place that is writable"):
        Deployment.of(client).save(tmp_path / "file" / "deployment.json")
