"""One request, from L1's events alone."""

from __future__ import annotations

from dataclasses import dataclass

from rollup.batch import Batch, Inclusion
from rollup.claim import ClaimId
from rollup.errors import ChainError
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted, ClaimSkipped, GroupRefused, Logged
from rollup.l1.logs import decode_logs
from rollup.l1.requests.asked import Request
from rollup.l1.requests.events import Renewed, Requested, Subscribed
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


def asked_events(client: L1Client, first: int, last: int, about: bytes | None = None) -> list[Logged]:
    """What the Requests contract said in blocks ``first`` to ``last``, both included. ``about``: a request or subscription."""
    topics = None if about is None else [None, about]
    return decode_logs(
        client.chain.web3, client.domain, client.chain.logs([client.requests_address], first, last, topics)
    )


def subscribed_inputs(client: L1Client, made: Requested, block: int) -> bytes:
    """The input's bytes that came with the subscription of a request, which was made in that block; empty if it has none, or they
    were uploaded before it.
    """
    for logged in asked_events(client, block, block):
        if isinstance(logged.event, Renewed) and logged.event.request_id == made.request_id:
            begun = asked_events(client, client.first, block, logged.event.subscription_id)
            return next((one.event.inputs for one in begun if isinstance(one.event, Subscribed)), b"")
    return b""


def place_of(client: L1Client, claim_id: ClaimId, first: int, last: int) -> Inclusion | None:
    """Where a claim stands that was posted in blocks ``first`` to ``last``, both included; None if it was not."""
    batches: dict[int, list[ClaimId | None]] = {}
    place: tuple[int, int] | None = None
    for logged in client.events(first, last):
        match logged.event:
            case ClaimPosted() as posted:
                batches.setdefault(posted.batch, []).append(posted.claim_id)
                if posted.claim_id == claim_id:
                    place = posted.batch, posted.index
            case ClaimSkipped() as skipped:
                batches.setdefault(skipped.batch, []).append(None)
            case GroupRefused() as refused:
                batches.setdefault(refused.batch, []).extend([None] * refused.count)
    if place is None:
        return None
    number, index = place
    return Inclusion(number, index, Batch(tuple(batches[number])).siblings(index))


def find_request(client: L1Client, request_id: bytes, first: int | None = None) -> FoundRequest:
    """Raises ChainError if nobody made it. ``first``: a block before which it was not made."""
    start = client.first if first is None else first
    found: FoundRequest | None = None
    for logged in asked_events(client, start, client.chain.height(), request_id):
        event = logged.event
        if isinstance(event, Requested):
            found = FoundRequest(event, logged.block, RequestStanding.of(event.request, logged.block))
        elif found is not None:
            found = FoundRequest(found.made, found.block, found.standing.after(event, logged.block))
    if found is None:
        raise ChainError(f"nobody made request 0x{request_id.hex()} on this chain; check the id and the deployment")
    return found


def find_subscription(client: L1Client, subscription_id: bytes) -> Subscribed:
    """Raises ChainError if nobody began it."""
    for logged in asked_events(client, client.first, client.chain.height(), subscription_id):
        if isinstance(logged.event, Subscribed):
            return logged.event
    raise ChainError(
        f"nobody began subscription 0x{subscription_id.hex()} on this chain; check the id and the deployment"
    )


def answer_of(client: L1Client, found: FoundRequest) -> ClaimPosted | None:
    """A claim that answers it, at the level that is reached, with the output's bytes; None while there is none."""
    telling = found.standing.telling
    if telling is None:
        return None
    events = (logged.event for logged in client.events(found.block, client.chain.height()))
    claims = (event for event in events if isinstance(event, ClaimPosted))
    return next((claim for claim in claims if claim.claim_id == telling), None)
