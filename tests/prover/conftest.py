"""A test draws the same numbers whichever tests ran before it."""

import zlib

import pytest

from prover.executor.kernels import native
from tests.prover.cases import table


@pytest.fixture(autouse=True)
def drawn_alike(request: pytest.FixtureRequest) -> None:
    table.seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def xla_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Executors that are made in this test compute products on XLA's kernels, as where compiled code can't be loaded."""
    monkeypatch.setattr(native, "library", lambda: None)
