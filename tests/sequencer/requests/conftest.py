"""An asking world on the chain in this process."""

import pytest

from rollup.l1.node.embedded import EmbeddedChain
from sequencer.store import Store
from tests.sequencer.requests.world import AskingWorld
from tests.world import ETHER, PROGRAM, deploy


@pytest.fixture
def world(tmp_path):
    chain = EmbeddedChain()
    deployer = deploy(chain, chain.signer("deployer"), PROGRAM)
    names = ("sequencer", "asking", "claimant", "requester")
    clients = [deployer.using(chain.signer(name)) for name in names]
    clients[2].deposit(100 * ETHER)
    store = Store.open(f"sqlite:///{tmp_path}/sequencer.db")
    world = AskingWorld(deployer, *clients, store)
    yield world
    world.answerer.close()
    store.close()
