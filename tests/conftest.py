"""Property tests draw the same cases on every machine, and no test fails because a machine is slow.

Tests marked with a program that this machine lacks are deselected, and the summary says so. The garbage collector runs seldom:
what JAX holds is large, tracing makes many small objects, and looking through all of it took a fifteenth of the time.
"""

import gc
import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.anvil import Anvil
from tests.machine import lacking
from tests.postgres import Postgres

settings.register_profile("touchstone", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("touchstone")
gc.set_threshold(100_000, 20, 5)


def pytest_configure(config: pytest.Config) -> None:
    wanted = [f"({config.option.markexpr})"] if config.option.markexpr else []
    config.option.markexpr = " and ".join([*wanted, *(f"not {marker}" for marker in lacking())])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for sentence in lacking().values():
        terminalreporter.write_line(f"NOT RUN: {sentence}")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A test that configures logs, as a service does, leaves none of it to the next."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    """A node of the module's own, which mines a block for every transaction; mark its tests with ``anvil``."""
    with Anvil() as node:
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; ``postgres.database()`` is the URL of a fresh database. Mark its tests with ``postgres``."""
    with Postgres() as server:
        yield server
