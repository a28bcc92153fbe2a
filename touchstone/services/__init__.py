"""The services, put together from their settings: one file each, with ``run(settings)``. What they share is here."""

from __future__ import annotations

from rollup.errors import SettingsError
from rollup.l1.chain import Chain
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.fees import FeePolicy
from rollup.l1.keys import load_signer
from rollup.l1.signing import Signer
from rollup.service import logs
from touchstone.settings import ChainSettings, KeySettings, LogSettings


def begin(log: LogSettings) -> None:
    """Set the process's log up."""
    logs.configure(log.level.value, log.style.value)


def account(keys: KeySettings) -> Signer | None:
    """Who signs; None if neither key nor keystore is set. Raises ClaimError for a key that is none."""
    if keys.keystore is not None:
        assert keys.keystore_password is not None, "the settings check this"
        return load_signer(keystore=keys.keystore, password=keys.keystore_password.get_secret_value())
    return load_signer(keys.key.get_secret_value()) if keys.key is not None else None


def need_account(keys: KeySettings, who: str) -> Signer:
    """As ``account``; raises SettingsError where there is none. ``who`` begins the sentence."""
    signer = account(keys)
    if signer is None:
        raise SettingsError(
            f"{who} needs an account that signs and pays; set TOUCHSTONE_KEY, or name a file by --key-file or --keystore"
        )
    return signer


def connect(chain: ChainSettings) -> Chain:
    """The endpoint, with the policy for fees; raises ChainError if nothing answers, SettingsError for bad fees."""
    return Chain.connect(chain.rpc, fee_policy(chain), timeout=chain.timeout)


def fee_policy(chain: ChainSettings) -> FeePolicy:
    """What a transaction may cost and how long it is fought for."""
    return FeePolicy(
        priority=chain.priority_fee,
        cap=chain.fee_cap,
        bump_percent=chain.fee_bump,
        bump_after=chain.fee_patience,
        give_up_after=max(chain.fee_give_up, chain.fee_patience),
    )


def l1(chain: ChainSettings, signer: Signer | None) -> L1Client:
    """The deployment that the settings name, checked against the chain. Raises ChainError."""
    return Deployment.load(chain.deployment).client(connect(chain), signer)
