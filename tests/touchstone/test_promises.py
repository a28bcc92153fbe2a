"""A signed claim is kept, or costs its claimant a bond."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rollup.errors import MoveError, Reverted
from rollup.l1.events import ClaimPosted, PromiseBroken
from tests.world import ETHER, TERMS, ToyWorld
from touchstone.cli import main
from touchstone.promises import enforce

BOND = TERMS.claim_bond


@pytest.fixture
def world() -> ToyWorld:
    return ToyWorld()


def test_whoever_holds_a_signed_claim_posts_it_itself(world: ToyWorld) -> None:
    claimant, holder = world.client("claimant", deposit=ETHER), world.client("holder")
    promised = world.sign(claimant)
    receipt = enforce(holder, promised)
    assert receipt is not None and receipt.one(ClaimPosted).claim == promised.claim
    assert receipt.sender == holder.account
    assert enforce(holder, promised) is None


def test_a_claim_in_its_place_costs_a_bond_wherever_it_stands_in_a_batch(world: ToyWorld) -> None:
    claimant, holder = world.client("claimant", deposit=ETHER), world.client("holder")
    first = world.sign(claimant)
    nonce = first.claim.nonce
    promised = world.sign(claimant, nonce=nonce + 1, output_root=bytes(31) + b"1")
    group = [first, world.sign(claimant, nonce=nonce + 1), world.sign(claimant, nonce=nonce + 2)]
    world.client("sequencer").post_groups([claimant.sign_group(group)])
    free = claimant.balance(claimant.account)
    receipt = enforce(holder, promised)
    assert receipt is not None
    assert receipt.one(PromiseBroken).posted == holder.claim_id(group[1].claim)
    assert claimant.balance(claimant.account) == free - BOND
    assert holder.burned() == BOND
    with pytest.raises(Reverted, match="each nonce costs a bond once"):
        enforce(holder, promised)
    assert enforce(holder, group[1]) is None


def test_without_a_bond_it_is_said_what_l1_refuses(world: ToyWorld) -> None:
    promised = world.sign(world.client("poor"))
    with pytest.raises(MoveError, match=r"InsufficientBalance.*deposit for 0x"):
        enforce(world.client("holder"), promised)


def test_a_nonce_that_was_cancelled_in_time_is_told(world: ToyWorld) -> None:
    claimant = world.client("claimant", deposit=ETHER)
    promised = world.sign(claimant)
    claimant.cancel_nonce(promised.claim.nonce)
    world.chain.advance(TERMS.withdrawal_delay)
    with pytest.raises(MoveError, match="cancelled nonce"):
        enforce(world.client("holder"), promised)


def test_the_command_says_what_it_takes() -> None:
    shown = CliRunner().invoke(main, ["claims", "enforce", "--help"])
    assert shown.exit_code == 0
    assert "burn a bond of the claimant" in shown.output
    refused = CliRunner().invoke(main, ["claims", "enforce", "0x12"])
    assert refused.exit_code != 0
    assert "it must have 32" in refused.output
