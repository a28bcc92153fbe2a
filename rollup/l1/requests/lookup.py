"""One request, from L1's events alone."""

from __future__ import annotations

from dataclasses import dataclass

from rollup.errors import ChainError
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.l1.logs import decode_logs
from rollup.l1.requests.asked import Request
from rollup.l1.requests.events import Requested
from rollup.l1.requests.standing import RequestStanding


@dataclass(frozen=True)
class FoundRequest:
    """``made``: the event with which it began, in block ``block``."""

    made: Requested
    block: int
    standing: RequestStanding

    @property
    def request_id(self) -> bytes:
        return self.made.request_id

    @property
    def request(self) -> Request:
        return self.made.request

    @property
    def is_over(self) -> bool:
        return not self.standing.is_open

    @property
    def state(self) -> str:
        return self.standing.state_of(self.request)


def find_request(client: L1Client, request_id: bytes, first: int | None = None) -> FoundRequest:
    """Raises ChainError if nobody made it. ``first``: a block before which it was not made."""
    start = client.first if first is None else first
    logs = client.chain.logs([client.requests_address], start, client.chain.height(), [None, request_id])
    found: FoundRequest | None = None
    for logged in decode_logs(client.chain.web3, client.domain, logs):
        event = logged.event
        if isinstance(event, Requested):
            found = FoundRequest(event, logged.block, RequestStanding.of(event.request, logged.block))
        elif found is not None:
            found = FoundRequest(found.made, found.block, found.standing.after(event, logged.block))
    if found is None:
        raise ChainError(f"nobody made request 0x{request_id.hex()} on this chain; check the id and the deployment")
    return found


def answer_of(client: L1Client, found: FoundRequest) -> ClaimPosted | None:
    """A claim that answers it, at the level that is reached, with the output's bytes; None while there is none."""
    telling = found.standing.telling
    if telling is None:
        return None
    events = (logged.event for logged in client.events(found.block, client.chain.height()))
    claims = (event for event in events if isinstance(event, ClaimPosted))
    return next((claim for claim in claims if claim.claim_id == telling), None)
