"""What goes wrong about one claim must not stop a player that plays about many."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from rollup.claim import ClaimId


@contextmanager
def noting(troubles: MutableMapping[ClaimId, Exception], claim_id: ClaimId) -> Iterator[None]:
    """Note whatever is raised under the claim's id, until a later round about it succeeds.

    Not only expected errors: what a claim, its input or a published trace makes some library raise is somebody else's
    choice, and a player that dies of it loses all its other games.
    """
    try:
        yield
    except Exception as error:
        troubles[claim_id] = error
    else:
        troubles.pop(claim_id, None)
