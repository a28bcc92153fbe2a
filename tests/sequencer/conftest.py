"""Stores to test with: every test that asks for one runs on SQLite, and on PostgreSQL where there is one."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from sequencer.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of another empty database at every call."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").database  # type: ignore[no-any-return]
    numbers = count()
    return lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()
