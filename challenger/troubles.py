"""One round of a player: what goes wrong about one claim does not stop it, a state that is out of date does."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress

from rollup.claim import Address, ClaimId
from rollup.errors import StaleView
from rollup.l1.client import L1Client


@contextmanager
def noting(troubles: MutableMapping[ClaimId, Exception], claim_id: ClaimId) -> Iterator[None]:
    """Note whatever is raised under the claim's id, until a later round about it succeeds.

    Not only expected errors: what a claim, its input or a published trace makes some library raise is somebody else's
    choice, and a player that dies of it loses all its other games.
    """
    try:
        yield
    except StaleView:
        # Nothing is wrong about the claim: the whole round began from an old state.
        raise
    except Exception as error:
        troubles[claim_id] = error
    else:
        troubles.pop(claim_id, None)


@contextmanager
def anchored(client: L1Client, account: Address | None) -> Iterator[None]:
    """A round whose decisions rest on what is read in it; it ends where a transaction of an earlier life came first, and
    the next round sees what that one did. Without an account nothing is sent.
    """
    if account is None:
        yield
        return
    client.anchor()
    try:
        with suppress(StaleView):
            yield
    finally:
        client.release_anchor()
