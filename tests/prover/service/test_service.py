"""A whole prover on an embedded chain: it may be killed at any moment, its key and L1 are all that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prover.claims import MadeClaim
from rollup.batch import Inclusion
from rollup.claim import NO_ROOT
from rollup.errors import EncodingError, SettingsError
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from rollup.l1.events import Challenged, ClaimPosted
from rollup.types import Root
from tests.e2e.toy_program import toy_numbers, toy_program
from tests.prover.service.world import ProverWorld, model_of_toy
from tests.world import ETHER, TERMS
from touchstone.services.prover import ProverOptions, ProverService


@pytest.fixture
def world() -> ProverWorld:
    return ProverWorld()


@contextmanager
def prover(world: ProverWorld, name: str = "prover", **options: Any) -> Iterator[ProverService]:
    """A prover with the toy in both policies; its loops are not started, rounds are played by hand."""
    made = ProverService(
        world.client(name), world.chain.signer(name), ProverOptions(models_from="http://127.0.0.1:1", **options)
    )
    made.worker.hold(model_of_toy(), "toy")
    made.worker.hold(model_of_toy(TracePolicy.ON_DISPUTE), "later")
    try:
        yield made
    finally:
        made.stop()


def claim(one: ProverService, world: ProverWorld, model: str, seed: int = 0) -> tuple[MadeClaim, Inclusion]:
    """Infer, and let somebody post it."""
    _, made = one.worker.infer(model, toy_numbers(seed))
    one.archive.keep(made)
    receipt = world.client("sequencer").post_batch([made.posted])
    posted = receipt.one(ClaimPosted)
    return made, Inclusion(posted.batch, posted.index, ())


def test_a_new_process_with_the_same_key_publishes_and_defends_what_the_old_one_claimed(world: ProverWorld) -> None:
    with prover(world, deposit=ETHER) as old:
        assert [receipt.call for receipt in old.round()] == ["deposit"]
        claims = {model: claim(old, world, model, seed) for seed, model in enumerate(("toy", "later"))}
        with old.archive.open(claims["toy"][0].posted.claim.trace_root) as trace:
            leaves = [trace.tree.leaf_bytes(leaf) for leaf in range(1 << trace.tree.depth)]
    spammer = world.client("spammer")
    games = {
        model: spammer.challenge(made.posted.claim, where, value=TERMS.challenge_bond).one(Challenged)
        for model, (made, where) in claims.items()
    }
    with prover(world, deposit=ETHER) as new:
        assert new._needed() == set()
        sent = [receipt.call for receipt in new.round()]
        assert new._needed() == {program.id for program in world.programs}
        assert sent.count("setTraceRoot") == 1 and sent.count("reveal") == 2
        root = claims["toy"][0].posted.claim.trace_root
        with new.archive.open(root) as trace:
            assert [trace.tree.leaf_bytes(leaf) for leaf in range(1 << trace.tree.depth)] == leaves
        assert new.archive.known(root).claims == [claims["toy"][0].claim_id]
        later = Root(world.deployer.dispute(claims["later"][0].claim_id).trace_root)
        assert later != NO_ROOT
        new.round()
        with new.archive.open(later) as trace:
            assert trace.root == later
        assert new.archive.known(later).claims == [claims["later"][0].claim_id]
        # The challenger never moves on: its clock runs out, and the claims become final.
        world.chain.advance(TERMS.clock + 1)
        assert "timeout" in [receipt.call for receipt in new.round()]
        world.chain.advance(TERMS.window)
        assert sorted(receipt.call for receipt in new.round()) == ["releaseAll"]
        assert new.round() == [] and new._needed() == set()
    for model, (made, where) in claims.items():
        assert world.deployer.status(made.posted.claim, where) is ClaimStatus.FINAL
        assert not world.deployer.game(games[model]).live
    assert world.deployer.locked(world.client("prover").account) == 0


def test_the_balance_is_topped_up_when_half_of_it_is_used_and_no_earlier(world: ProverWorld) -> None:
    bond = TERMS.claim_bond
    with prover(world, deposit=4 * bond) as one:
        assert [receipt.call for receipt in one.round()] == ["deposit"] and one.round() == []
        account = world.client("prover").account
        for seed in range(2):
            claim(one, world, "toy", seed)
        assert one.round() == [] and world.deployer.balance(account) == 2 * bond
        claim(one, world, "toy", 2)
        assert [receipt.call for receipt in one.round()] == ["deposit"]
        assert world.deployer.balance(account) == 4 * bond


def test_without_money_for_a_bond_the_prover_is_not_ready_and_says_so(world: ProverWorld) -> None:
    with prover(world, "poor") as one:
        one.round()
        assert "needs a bond" in one.health.problems()["bonds"]
        world.client("poor").deposit(TERMS.claim_bond)
        one.round()
        assert "bonds" not in one.health.problems()


def test_a_claim_whose_program_is_not_held_is_told(world: ProverWorld) -> None:
    with prover(world, deposit=ETHER) as old:
        old.round()
        claim(old, world, "toy")
        old.round()
        assert "programs" not in old.health.problems()
    client, signer = world.client("prover"), world.chain.signer("prover")
    new = ProverService(client, signer, ProverOptions(models_from="http://127.0.0.1:1"))
    new.round()
    assert "can't be defended" in new.health.problems()["programs"]
    new.stop()


def test_a_claim_that_another_account_made_is_not_published(world: ProverWorld) -> None:
    with prover(world, deposit=ETHER) as one, prover(world, "other", deposit=ETHER) as other:
        one.round(), other.round()
        made, _ = claim(other, world, "toy")
        one.round()
        assert one._find(made.posted.claim.trace_root) == []


def test_programs_come_from_folders_and_must_be_what_they_say(world: ProverWorld, tmp_path: Path) -> None:
    toy_program().save(tmp_path / "mine")
    client, signer = world.client("prover"), world.chain.signer("prover")
    one = ProverService(client, signer, ProverOptions(folders=[tmp_path / "mine"]))
    assert "no model is held" in one.health.problems()["models"]
    one.start()
    try:
        assert [held.name for held in one.worker.models] == ["mine"]
        assert "models" not in one.health.problems()
    finally:
        one.stop()
    (tmp_path / "mine" / "manifest.json").write_text("{}")
    with pytest.raises(EncodingError, match=r"manifest\.json"):
        ProverService(client, signer, ProverOptions(folders=[tmp_path / "mine"])).start()
    with pytest.raises(SettingsError, match="no models"):
        ProverService(client, signer, ProverOptions())


def test_nothing_is_sent_and_nothing_promised_while_the_node_lags(world: ProverWorld) -> None:
    late = [1000.0]
    client = world.client("prover")
    options = ProverOptions(models_from="http://127.0.0.1:1", deposit=ETHER, max_lag=60)
    one = ProverService(client, world.chain.signer("prover"), options, wall=lambda: world.chain.now() + late[0])
    assert one.round() == [] and "1000 s old" in one.health.problems()["chain"]
    late[0] = 0.0
    assert [receipt.call for receipt in one.round()] == ["deposit"]
    one.stop()


def test_what_is_sent_by_hand_after_a_round_has_the_nonce_that_is_next_then(world: ProverWorld) -> None:
    """A round's anchor ends with the round: it would have everything that comes later refused as stale."""
    with prover(world, deposit=ETHER) as one:
        assert [receipt.call for receipt in one.round()] == ["deposit"]
        one._client.using(world.chain.signer("prover")).deposit(1)
        assert one._client.deposit(1).call == "deposit"
