"""What every service makes of its settings: the log, the account, the chain, the bounds of its HTTP."""

from __future__ import annotations

import re

from rollup.errors import ChainError, SettingsError
from rollup.l1.account.fees import FeePolicy
from rollup.l1.account.keys import load_signer
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import TIMEOUT, Chain
from rollup.redact import place_of
from rollup.service import logs
from rollup.service.web import WebLimits
from touchstone.settings.settings import ChainSettings, KeySettings, LogSettings, WebSettings


def log_as(settings: LogSettings) -> None:
    """Set the process's log up."""
    logs.configure(settings.level.value, settings.style.value)


def signer_of(settings: KeySettings) -> Signer:
    """The account that signs and pays. Raises SettingsError if there is none, ClaimError if its key can't be read."""
    key, password = settings.key, settings.keystore_password
    if key is None and settings.keystore is None:
        raise SettingsError(
            "an account is needed that signs and pays; set TOUCHSTONE_KEY, or name a file with --key-file or --keystore"
        )
    return load_signer(
        None if key is None else key.get_secret_value(),
        settings.keystore,
        None if password is None else password.get_secret_value(),
    )


def chain_of(settings: ChainSettings) -> Chain:
    """The endpoint, with the policy for fees. Raises ChainError if nothing answers there, or for fees that make no sense."""
    fees = FeePolicy(
        priority=settings.priority_fee,
        cap=settings.fee_cap,
        bump_percent=settings.fee_bump,
        bump_after=settings.fee_patience,
        give_up_after=max(settings.fee_give_up, settings.fee_patience),
    )
    return connected(settings.rpc, fees, settings.timeout)


def connected(rpc: str, fees: FeePolicy | None = None, timeout: float = TIMEOUT) -> Chain:
    """The endpoint that ``--rpc`` names. Raises SettingsError for what is no URL, ChainError, which names its host, if it does not
    answer.
    """
    if not re.match(r"https?://[^/]", rpc, re.IGNORECASE):
        raise SettingsError("what --rpc or TOUCHSTONE_RPC names is no URL; write it like http://127.0.0.1:8545")
    try:
        return Chain.connect(rpc, fees, timeout=timeout)
    except ChainError as error:
        raise ChainError(f"{place_of(rpc)}: {error} (--rpc or TOUCHSTONE_RPC names it)") from None


def client_of(settings: ChainSettings, signer: Signer | None) -> L1Client:
    """The deployment that the settings name, checked against the chain; no transaction is fought for longer than its games'
    clock allows. Raises ChainError.
    """
    deployment, chain = Deployment.load(settings.deployment), chain_of(settings)
    client = deployment.client(chain, signer)
    chain.fees = chain.fees.within(deployment.parameters.clock, chain.block_seconds())
    return client


def web_limits(settings: WebSettings) -> WebLimits:
    """Bounds of a service's HTTP."""
    return WebLimits(
        body_bytes=settings.max_body, per_second=settings.rate, burst=settings.burst, proxies=settings.proxies
    )
