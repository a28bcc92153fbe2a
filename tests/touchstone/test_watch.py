"""``touchstone watch``: what its settings make of a watcher, and what they are told if they make none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from challenger.checkers.budget import Budget
from challenger.checkers.pool import Pool
from challenger.publications.remote import RemoteTraces
from challenger.service import WatcherService
from challenger.watch.modes import WatchMode
from rollup.errors import SettingsError, TouchstoneError
from rollup.form.encoding import TracePolicy
from rollup.l1.node.finality import Finality
from rollup.types import Duration
from tests.e2e.lies import PROGRAMS
from tests.e2e.network import NetworkWorld
from tests.world import TERMS
from touchstone.services.starts import STARTS
from touchstone.services.watch import REMEMBER, checks_of, run, watcher_of
from touchstone.settings.settings import ChainSettings, ModeName, WatchSettings

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
ID = "0x" + PROGRAM.id.hex()


@pytest.fixture(scope="module")
def network() -> NetworkWorld:
    return NetworkWorld(PROGRAM)


@pytest.fixture
def made(network: NetworkWorld, tmp_path: Path) -> Iterator[WatcherService]:
    settings = WatchSettings(
        chain=ChainSettings(finality="12", max_lag=90.0),
        mode=ModeName.DEFEND,
        model_ids=(ID,),
        models_from="http://127.0.0.1:9",
        traces=("http://127.0.0.1:9/", "http://127.0.0.1:8"),
        cache=tmp_path / "cache",
        poll=2.0,
        check_processes=3,
        check_time=30.0,
        check_memory=1 << 30,
    )
    one = watcher_of(settings, network.client("watcher"))
    yield one
    one.stop()


def test_the_settings_reach_the_watcher(made: WatcherService, tmp_path: Path) -> None:
    configuration = made.watcher.configuration
    assert (configuration.mode, configuration.finality, configuration.max_lag, configuration.remember) == (
        WatchMode.DEFEND,
        Finality(confirmations=12),
        90.0,
        REMEMBER,
    )
    assert made.rounds.every == 2.0 and made.library.fetches
    store = made.watcher._player.store
    assert isinstance(store, RemoteTraces)
    assert [source.url for source in store.sources] == ["http://127.0.0.1:9", "http://127.0.0.1:8"]
    assert (tmp_path / "cache" / "programs").is_dir() and Duration(0) < REMEMBER


def test_checks_run_in_processes_within_what_the_settings_and_the_deployment_leave(
    made: WatcherService, network: NetworkWorld, tmp_path: Path
) -> None:
    checks = made.watcher.checks
    assert isinstance(checks, Pool) and checks.wakes and checks.wake == made.rounds.wake
    assert checks.budget == Budget(30.0, 1 << 30, 1 << 29) and len(checks._threads) == 3
    assert checks._folder.parent == tmp_path / "cache" / "checks" and checks._notes._path is not None
    assert checks._starts == tmp_path / "cache" / STARTS
    patient = checks_of(WatchSettings(check_time=600.0), network.client("watcher"))
    patient.close()
    assert patient.budget.seconds == min(TERMS.window / 8, TERMS.clock / 4)
    assert made.library._limits.trace_bytes == 1 << 29


def test_a_watcher_without_programs_is_told_how_to_name_them(network: NetworkWorld) -> None:
    with pytest.raises(SettingsError, match="name folders with --models"):
        watcher_of(WatchSettings(), network.client("watcher"))


@pytest.mark.parametrize("text", ["toy", "0x1234", ID + "00", "0x" + "zz" * 32])
def test_what_is_no_model_id_is_named(network: NetworkWorld, text: str) -> None:
    settings = WatchSettings(model_ids=(text,), models_from="http://127.0.0.1:9")
    with pytest.raises(SettingsError, match="is no model id; it is 0x and 64 hex digits"):
        watcher_of(settings, network.client("watcher"))


def test_whoever_plays_needs_a_key_and_is_told_so_before_anything_is_asked() -> None:
    with pytest.raises(TouchstoneError, match="TOUCHSTONE_KEY"):
        run(WatchSettings(all_models=True, models_from="http://127.0.0.1:9"))


def test_no_secret_of_a_watcher_is_shown(network: NetworkWorld) -> None:
    settings = WatchSettings(
        all_models=True,
        models_from="http://127.0.0.1:9",
        webhook="http://127.0.0.1:9/secret-hook",
        webhook_token=SecretStr("secret-token"),
    )
    assert "secret-token" not in repr(settings)
    one = watcher_of(settings, network.client("watcher"))
    assert "secret" not in repr(one.watcher) + repr(vars(one))
    one.stop()
