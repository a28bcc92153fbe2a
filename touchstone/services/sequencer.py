"""``touchstone sequencer``: takes claims, posts batches, answers whoever asks; the admin API on a port of its own."""

from __future__ import annotations

from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from rollup.archive import Programs
from rollup.errors import SettingsError
from rollup.files import made
from rollup.l1.account.keys import load_signer
from rollup.l1.client import L1Client
from rollup.service import logs
from rollup.service.latency import favour_answers
from rollup.service.server import Lifetime
from rollup.service.web import serve
from rollup.types import Duration
from sequencer.admin.tokens import RoleTokens
from sequencer.api.page import PageOptions
from sequencer.intake.limits import Limits
from sequencer.requests.policy import Policy
from sequencer.service import SequencerOptions, SequencerService
from sequencer.store import Store
from touchstone.models.portrait import portrait
from touchstone.services.l1 import client_of, log_as, signer_of, web_limits
from touchstone.settings.options import shown
from touchstone.settings.settings import SequencerSettings

_log = logs.logger("touchstone.sequencer")


def database_url(settings: SequencerSettings) -> str:
    """The database's URL with its password; raises SettingsError if it is none."""
    try:
        url = make_url(settings.database)
    except ArgumentError:
        raise SettingsError(
            "the database is no URL; write it like sqlite:///touchstone.db or postgresql+psycopg://user@host/name"
        ) from None
    if settings.database_password is not None:
        url = url.set(password=settings.database_password.get_secret_value())
    return url.render_as_string(hide_password=False)


def tokens_of(settings: SequencerSettings) -> RoleTokens | None:
    """Who may use the admin API; None if nobody has a token."""
    given: dict[str, SecretStr | None] = {
        "read": settings.admin_read_token,
        "operate": settings.admin_operate_token,
        "own": settings.admin_own_token,
    }
    secrets = {role: token.get_secret_value() for role, token in given.items() if token is not None}
    return RoleTokens.of(secrets) if secrets else None


def service_of(settings: SequencerSettings, client: L1Client) -> SequencerService:
    """The service that the settings describe; raises SettingsError if they contradict each other."""
    token = settings.prover_token
    asking = asking_of(settings, client)
    limits = Limits(
        settings.batch_count,
        settings.batch_bytes,
        settings.batch_gas,
        Duration(int(settings.batch_age)),
        distrust=Duration(int(settings.distrust)),
    )
    options = SequencerOptions(
        limits=limits,
        web=web_limits(settings),
        prover=settings.prover,
        prover_token=None if token is None else token.get_secret_value(),
        prover_seconds=settings.prover_timeout,
        pending=settings.pending_limit,
        poll=settings.poll,
        max_lag=settings.chain.max_lag,
        lease=settings.lease,
        requests=Policy(
            settings.requests_percent,
            settings.requests_spend,
            settings.requests_retries,
            settings.requests_confirmations,
            Duration(limits.margin + 5),
        ),
        page=PageOptions(settings.explorer, settings.playground, portrait),
    )
    store = Store.open(database_url(settings))
    configuration = {"sequencer": shown(settings)}
    return SequencerService(client, store, Programs(settings.models), options, lambda: configuration, asking=asking)


def asking_of(settings: SequencerSettings, client: L1Client) -> L1Client | None:
    """The account that pays for transactions about requests; None: they are not answered. Raises SettingsError for one that can't."""
    key = settings.requests_key
    if key is None:
        return None
    if settings.prover is None:
        raise SettingsError("--requests-key-file needs --prover: requests are answered by a prover")
    asking = client.using(load_signer(key.get_secret_value()))
    if asking.account == client.account:
        raise SettingsError(
            f"{asking.account} pays for batches already, and one account sends one transaction at a time; "
            "give --requests-key-file another account's key"
        )
    return asking


def run(settings: SequencerSettings) -> None:
    """Serve until SIGTERM or SIGINT; raises a TouchstoneError if the sequencer can't start."""
    log_as(settings.log)
    made(settings.models)
    tokens = tokens_of(settings)
    service = service_of(settings, client_of(settings.chain, signer_of(settings.chain)))
    lifetime = Lifetime()
    servers = [serve(service.api(), settings.host, settings.port)]
    try:
        if tokens is not None:
            servers.append(serve(service.admin(tokens), settings.admin_host, settings.admin_port))
        else:
            _log.warning("no admin API: no token is set", remedy="set TOUCHSTONE_ADMIN_OWN_TOKEN, or another role's")
        service.start()
        for server in servers:
            server.start()
        favour_answers()
        lifetime.wait()
    finally:
        for server in servers:
            server.stop()
        service.stop()
