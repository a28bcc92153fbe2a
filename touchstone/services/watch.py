"""``touchstone watch``: follows L1, checks claims, raises alerts, and plays the disputes that its mode allows."""

from __future__ import annotations

from pathlib import Path

from challenger.checkers.budget import Budget
from challenger.checkers.notes import Notes
from challenger.checkers.pool import Pool
from challenger.play.known import ROOT_BYTES
from challenger.publications.library import Wanted
from challenger.publications.remote import RemoteTraces
from challenger.reports.webhook import Webhook
from challenger.service import WatcherOptions, WatcherService
from challenger.watch.modes import WatchConfiguration, WatchMode
from prover.start import Starts
from prover.start.starts import AUDIT
from rollup.audit import audit
from rollup.errors import SettingsError
from rollup.files import made
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.l1.node.finality import Finality
from rollup.service.web import serve
from rollup.types import Duration, ModelId, Root
from touchstone.services.l1 import client_of, log_as, signer_of, web_limits
from touchstone.services.starts import start_folder
from touchstone.settings.settings import ModeName, WatchSettings

REMEMBER = Duration(3600)
"""Seconds for which a claim is remembered after its challenge period, if it is settled."""


def watcher_of(settings: WatchSettings, client: L1Client) -> WatcherService:
    """The service that the settings describe."""
    if not settings.models and not settings.model_ids and not settings.all_models:
        raise SettingsError(
            "the watcher has no programs; name folders with --models, or a sequencer with --models-from and "
            "--model-ids or --all-models"
        )
    configuration = WatchConfiguration(
        WatchMode.parse(settings.mode.value), Finality.parse(settings.chain.finality), settings.chain.max_lag, REMEMBER
    )
    wanted = Wanted(settings.models_from, tuple(_model_id(text) for text in settings.model_ids), settings.all_models)
    programs = settings.cache / "programs" if settings.cache is not None else None
    folder = start_folder(settings.start_cache, settings.cache)
    checks = checks_of(settings, client, folder)
    options = WatcherOptions(settings.models, wanted, programs, settings.deposit, settings.poll, web_limits(settings))
    token = settings.webhook_token.get_secret_value() if settings.webhook_token is not None else None
    sinks = [Webhook(settings.webhook, token)] if settings.webhook is not None else []
    starts = Starts(folder)

    def admit(program: Program) -> None:
        starts.once(program.id, AUDIT, lambda: audit(program))

    traces = RemoteTraces(settings.traces)
    return WatcherService(client, configuration, options, traces, sinks, checks=checks, admit=admit)


def checks_of(settings: WatchSettings, client: L1Client, starts: Path | None = None) -> Pool:
    """The processes that check claims, within what the deployment's periods leave and the settings allow. ``starts``: the folder of what
    earlier starts found out.
    """
    processes = settings.check_processes
    budget = Budget.of(client.parameters, processes, settings.check_time, settings.check_memory)
    if settings.cache is None:
        return Pool(budget, processes, starts=starts)
    return Pool(budget, processes, settings.cache / "checks", Notes(settings.cache / "checks.json"), starts=starts)


def run(settings: WatchSettings) -> None:
    """Watch until SIGTERM or SIGINT; raises a TouchstoneError if the watcher can't start."""
    log_as(settings.log)
    if settings.cache is not None:
        made(settings.cache)
    start_folder(settings.start_cache, settings.cache)
    # Whoever only watches sends nothing, and needs no account.
    signer = None if settings.mode is ModeName.WATCH else signer_of(settings.chain)
    service = watcher_of(settings, client_of(settings.chain, signer))
    server = serve(service.app, settings.host, settings.port)
    try:
        service.start()
        server.run()
    finally:
        service.stop()


def _model_id(text: str) -> ModelId:
    digits = text.removeprefix("0x")
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    if len(found) != ROOT_BYTES:
        raise SettingsError(f"{text[:80]!r} is no model id; it is 0x and 64 hex digits, as GET /v1/models lists it")
    return Root(found)
