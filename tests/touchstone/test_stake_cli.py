"""``touchstone stake``: a prover's stake and seats on a node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.requests.quorum import LEAVING_BLOCKS, share
from rollup.l1.requests.seats import Seat, seats_of
from rollup.types import hex_of
from rollup.words import show_wei
from tests.anvil import Anvil
from tests.world import PROGRAM, deploy
from touchstone.cli import main

pytestmark = pytest.mark.anvil

MODEL = hex_of(PROGRAM.id)


@pytest.fixture
def deployer(anvil: Anvil) -> L1Client:
    return deploy(anvil.chain(), anvil.signer("deployer"), PROGRAM)


@pytest.fixture
def run(anvil: Anvil, deployer: L1Client, tmp_path: Path) -> Callable[..., Result]:
    file = tmp_path / "deployment.json"
    Deployment.of(deployer).save(file)
    anvil.signer("prover")
    environ = {"TOUCHSTONE_RPC": anvil.url, "TOUCHSTONE_DEPLOYMENT": str(file), "TOUCHSTONE_KEY": anvil.key("prover")}
    return lambda *words: CliRunner(env=environ).invoke(main, ["stake", *words])


def refused(result: Result, sentence: str) -> None:
    assert result.exit_code == 1 and sentence in result.output, result.output


def test_a_seat_is_taken_given_up_and_vacated_and_the_stake_comes_back(
    anvil: Anvil, deployer: L1Client, run: Callable[..., Result]
) -> None:
    unit, account = share(deployer), anvil.signer("prover").address
    refused(run("join", MODEL), "touchstone stake add")
    refused(run("add", "1000000 ether"), "too little; send it some")
    assert f"free     {show_wei(2 * unit)}" in run("add", f"{2 * unit} wei").stdout
    joined = run("join", MODEL)
    assert joined.exit_code == 0 and f"seat for {MODEL} since block {anvil.height}" in joined.stdout
    seat = seats_of(deployer, account)[PROGRAM.id]
    assert seat == Seat(anvil.height) and seat.counts(anvil.height) and not seat.counts(anvil.height - 1)
    refused(run("take", f"{2 * unit} wei"), "touchstone stake vacate")
    refused(run("vacate", MODEL), "still has its seat")
    resigned = run("resign", MODEL)
    assert f"can be freed from block {anvil.height + LEAVING_BLOCKS + 1} on" in resigned.stdout
    left = seats_of(deployer, account)[PROGRAM.id]
    assert left.counts(anvil.height - 1) and not left.counts(anvil.height)
    anvil.mine(LEAVING_BLOCKS - 1)
    refused(run("vacate", MODEL), "is held until")
    # An estimate is made as of the latest block.
    anvil.mine(2)
    assert "seat for" not in run("vacate", MODEL).stdout and seats_of(deployer, account) == {}
    assert "held     0 (0 wei)" in run("take").stdout
    assert "free     0 (0 wei)" in run("show").stdout
    refused(run("join", "0x" + "12" * 32), "touchstone stake add")
    assert run("join", "0x12").exit_code == 2
    shown = run("show", "--account", account).stdout
    assert shown == run("show").stdout and account in shown
