"""One sequencer serves all tests of a module: each uses claims of its own."""

import pytest

from tests.sequencer.api.world import ApiWorld


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    world = ApiWorld(tmp_path_factory.mktemp("sequencer"))
    yield world
    world.stop()
