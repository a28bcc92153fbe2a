"""What a node's failures mean. Whatever it answers, callers see the error tree: a node may be down, slow, or lie."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from eth_tester.exceptions import TransactionFailed
from eth_utils.exceptions import ValidationError
from web3.exceptions import BlockNotFound, TransactionNotFound, Web3RPCError

from rollup.errors import Behind, ChainError, Refused
from rollup.l1.reverts import decode_revert, revert_data

T = TypeVar("T")

SHOWN = 200
"""Most characters of a node's own words that an error quotes."""


class Missing(Refused):
    """The node knows no such block or transaction."""


@dataclass(frozen=True)
class Clock:
    """Time that passes while one waits: seconds from any beginning, and how to wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True)
class Retry:
    """How often a request that failed on its way is made in all, and the seconds before the second time; the pause
    doubles.
    """

    times: int = 3
    pause: float = 0.2


def meaning(error: Exception) -> ChainError:
    """The failure in our terms: Reverted, Missing, Refused (the node said no), or ChainError (no answer worth the
    name). A transport's own words may hold the endpoint's address, and with it an access key: they are not quoted.
    """
    if isinstance(error, ChainError):
        return error
    # What the node made up in place of revert data is none; so is what cannot be decoded.
    with suppress(Exception):
        data = revert_data(error)
        if data is not None:
            return decode_revert(data)
    if isinstance(error, BlockNotFound | TransactionNotFound):
        return Missing(f"the node has no answer: {_words(error)}; it lags, or the chain was reorganised")
    if isinstance(error, Web3RPCError | TransactionFailed | ValidationError):
        words = _words(error)
        remedy = "; send wei to the account that pays" if "insufficient funds" in words.lower() else ""
        return Refused(f"the node refused the request: {words}{remedy}")
    return ChainError(f"the chain did not answer the request ({type(error).__name__}); check the endpoint")


def ask(call: Callable[[], T], retry: Retry, clock: Clock) -> T:
    """Make a request, more than once if it fails on its way; raises as ``meaning`` says."""
    for left in reversed(range(retry.times)):
        try:
            return call()
        # What a node answers can make any line of the library fail.
        except Exception as error:
            found = meaning(error)
            if left == 0 or type(found) not in (ChainError, Behind):
                raise found from None
        clock.sleep(retry.pause * 2 ** (retry.times - 1 - left))
    raise AssertionError("a request is made at least once")


def whole(value: object) -> int:
    """A whole number that a node answered; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("no whole number")
    return value


def _words(error: Exception) -> str:
    response = getattr(error, "rpc_response", None)
    said = response.get("error") if isinstance(response, dict) else None
    words = str(said.get("message") if isinstance(said, dict) else error)
    shown = "".join(character if character.isprintable() else " " for character in words)
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."
