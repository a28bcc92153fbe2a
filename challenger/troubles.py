"""What goes wrong about one claim does not stop a round; what goes wrong with the node does."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from rollup.claim import ClaimId
from rollup.errors import ChainError, StaleView, TouchstoneError


class Awaited(TouchstoneError):
    """What is needed was ordered, and a later round has it."""


@contextmanager
def noting(troubles: MutableMapping[ClaimId, Exception], claim_id: ClaimId) -> Iterator[None]:
    """Note whatever is raised under the claim's id, until a later round about it succeeds.

    Not only expected errors: what a claim, its input or a published trace makes some library raise is somebody else's
    choice, and a player that dies of it loses all its other games.

    Raised again is what ends the round: StaleView, since all of it began from an old state, and a node that does not
    answer, or mines nothing. What is awaited is no trouble, and no success either.
    """
    try:
        yield
    except Awaited:
        pass
    except StaleView:
        raise
    except Exception as error:
        troubles[claim_id] = error
        if is_outage(error):
            raise
    else:
        troubles.pop(claim_id, None)


def is_outage(error: Exception) -> bool:
    """Whether this is about the node, and about no claim: anything more definite is a subclass."""
    return type(error) is ChainError
