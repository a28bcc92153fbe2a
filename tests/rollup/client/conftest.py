from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollup.client import Bounds, Client
from tests.rollup.client.service import Service
from tests.rollup.client.world import ClientWorld

QUICK = Bounds(bytes=1 << 20, seconds=20.0, attempts=3, busy_attempts=3, patience=0.05)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, bounds=QUICK) as made:
        yield made


@pytest.fixture(scope="session")
def world() -> ClientWorld:
    return ClientWorld()
