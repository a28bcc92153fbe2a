"""One deployment for all tests of a file; whoever changes what others rely on makes a world of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from rollup.service.web import serve
from tests.sequencer.admin.world import AdminWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminWorld]:
    made = AdminWorld(tmp_path_factory.mktemp("sequencer"))
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def url(world: AdminWorld) -> Iterator[str]:
    """Where the admin API of the world is served."""
    server = serve(world.app(), "127.0.0.1", 0).start()
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client
