"""The client for asyncio. What it sends and how it reads is in plain functions beside it; this file only does the I/O."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from cachetools import LRUCache

from rollup import wire
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.client import asking, requests, verify, views
from rollup.client.answers import base_url, content
from rollup.client.asking import RequestView
from rollup.client.receipt_reader import ReceiptReader
from rollup.client.stream import EventReader
from rollup.client.verify import L1, Verified
from rollup.client.views import ClaimView, Event, Inference, ModelView, State, reading
from rollup.documents.asked import RequestState
from rollup.documents.fields import read
from rollup.documents.network import NetworkView
from rollup.errors import BadAnswer, ChainError, ClaimError, ClientError, InvalidClaim, Unanswered, WaitTimeout
from rollup.http import BUSY, Bounds, Http, HttpAnswer, Lost, Request, TooSlow, backoff
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.numbers import cuts, prepared
from rollup.redact import place_of
from rollup.types import ModelId

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8080"
PAGE = 100
REMEMBERED = 1000
"""Answers of ``infer`` that are kept for ``verify_inclusion``, the latest ones."""

QUIET_SECONDS = 60.0
"""A stream without a byte for so long is taken for lost; services send a comment more often."""

LOOK_SECONDS = (0.1, 2.0)
"""Pauses of ``wait_final``: the first and the longest."""


class AsyncClient(ReceiptReader):
    """Speaks to a sequencer at ``url``, or to a prover about receipts.

    ``l1``: a client of L1 (or an endpoint's URL and a deployment), with which ``wait_final`` believes L1 alone. Raises ChainError at
    once for a file that holds no deployment.
    ``bounds``: of every answer, and of attempts. All methods raise ClientError: with ``status`` and ``problem`` if the
    service refused, BadAnswer if what it said can't be true. Close it, or use it with ``async with``.
    """

    def __init__(self, url: str = DEFAULT_URL, *, l1: L1 | None = None, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._url = base_url(url)
        self._http = Http(self._url, {"Accept": "application/json"})
        self._l1 = None if l1 is None else verify.named(l1)
        self._asked: LRUCache[ClaimId, Inference] = LRUCache(REMEMBERED)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def models(self) -> list[ModelView]:
        """All models that the sequencer serves."""
        found: list[ModelView] = []
        cursor, seen = None, set[str]()
        while True:
            part, cursor = await self._ask(requests.models(cursor), views.models)
            found += part
            if cursor is None:
                return found
            _unseen(cursor, seen)

    async def model(self, name_or_id: str | ModelId) -> ModelView:
        """One model. What a name stands for is the sequencer's word; an id is checked."""
        asked = requests.model(name_or_id)
        found = await self._ask(asked, views.model_view)
        wanted = name_or_id if isinstance(name_or_id, bytes) else _id(name_or_id)
        if wanted is not None and found.id != wanted:
            raise BadAnswer(f"model 0x{wanted.hex()} was asked for, the answer is about 0x{found.id.hex()}")
        return found

    async def infer(
        self, model: str | ModelId | ModelView, *inputs: Any, clamp: bool = False, key: str | None = None
    ) -> Inference:
        """Let the service run a model and claim the result. ``inputs``: one array (or nested list) per input. Numbers that an
        input's format can't hold are refused, or with ``clamp`` cut to its ends and counted in the answer.

        ``key``: of an inference that was asked for before and not answered (``Unanswered`` names it): its answer is given, and nothing
        is run twice. With ``l1`` the endpoint and the deployment are checked before anything is asked for.

        The answer is the service's word until the claim is final (``wait_final``) and ``verify_inclusion`` agrees.
        """
        if self._l1 is not None:
            await self._chain()
        view = model if isinstance(model, ModelView) else await self.model(model)
        if len(inputs) != len(view.inputs):
            raise ClientError(
                f"model {view.name or '0x' + view.id.hex()} takes {len(view.inputs)} inputs, {len(inputs)} were given; "
                "pass one array per input"
            )
        arrays = [
            prepared(array, tensor.name, tensor.shape, tensor.dtype)
            for array, tensor in zip(inputs, view.inputs, strict=True)
        ]
        found = cuts(view.header, view.interface, arrays)
        if found and not clamp:
            raise ClientError(found[0].refusal)
        key = secrets.token_hex(16) if key is None else key
        try:
            answer = await self._ask(
                requests.infer(view.id, arrays, clamp, key), lambda data: views.inference(view, arrays, data)
            )
        except ClientError as error:
            if isinstance(error, BadAnswer) or _refused(error):
                raise
            raise Unanswered(error, key) from None
        self._remember(answer)
        return answer

    async def claim(self, posted: PostedClaim) -> ClaimId:
        """Hand in a claim that its claimant signed; the same claim twice is no error."""
        claim_id, _ = await self._ask(requests.claim(posted, secrets.token_hex(16)), views.accepted)
        if self._l1 is not None:
            computed = (await self._chain()).claim_id(posted.claim)
            if computed != claim_id:
                raise BadAnswer(
                    f"claim 0x{computed.hex()} was handed in, the answer names 0x{claim_id.hex()}; "
                    "the sequencer serves another deployment, or lies"
                )
        return claim_id

    async def get(self, claim_id: ClaimId) -> ClaimView:
        """All that the sequencer says about a claim."""
        view = await self._ask(requests.get(claim_id), views.claim_view)
        if view.claim_id != claim_id:
            raise BadAnswer(f"claim 0x{claim_id.hex()} was asked for, the answer is about 0x{view.claim_id.hex()}")
        return view

    async def claims(
        self,
        *,
        state: State | None = None,
        model: ModelId | None = None,
        claimant: Address | None = None,
        page: int = PAGE,
    ) -> AsyncGenerator[ClaimView]:
        """Claims, newest first, without their bytes; ``page``: how many are asked for at a time."""
        cursor, seen = None, set[str]()
        while True:
            found, cursor = await self._ask(requests.claims(state, model, claimant, cursor, page), views.page)
            for view in found:
                yield view
            if cursor is None:
                return
            _unseen(cursor, seen)

    async def request(self, request_id: bytes) -> RequestView:
        """All that the sequencer says about a contract's request."""
        view = await self._ask(requests.asked(request_id), asking.request_view)
        if view.request_id != request_id:
            raise BadAnswer(
                f"request 0x{request_id.hex()} was asked for, the answer is about 0x{view.request_id.hex()}"
            )
        return view

    async def requests(
        self,
        *,
        state: RequestState | None = None,
        model: ModelId | None = None,
        requester: Address | None = None,
        page: int = PAGE,
    ) -> AsyncGenerator[RequestView]:
        """Requests of contracts, newest first, without their bytes; ``page``: how many are asked for at a time."""
        cursor, seen = None, set[str]()
        while True:
            asked = requests.all_asked(state, model, requester, cursor, page)
            found, cursor = await self._ask(asked, asking.request_page)
            for view in found:
                yield view
            if cursor is None:
                return
            _unseen(cursor, seen)

    async def network(self) -> dict[str, Any]:
        """Chain id, contract and parameters, in the sequencer's words."""
        return await self._ask(requests.network(), lambda data: read(NetworkView, data).model_dump())

    async def events(self, claim_id: ClaimId | None = None, *, after: str = "") -> AsyncGenerator[Event]:
        """Changes of state, of one claim or of all, from now on or after the event ``after``; goes on where it was after
        a lost connection. Ends never; raises ClientError when the service stays away.
        """
        request, reader, failures = requests.events(claim_id), EventReader(id=after), 0
        while True:
            reader.begin()
            try:
                async with aclosing(self._connection(request, reader)) as events:
                    async for event in events:
                        failures = 0
                        yield event
                problem: Exception | None = None
            except (Lost, TooSlow) as error:
                problem = error
            failures += 1
            if failures >= self._bounds.attempts:
                reason = "ended" if problem is None else f"failed ({problem})"
                raise ClientError(
                    f"the event stream of {place_of(self._url)} {reason} {failures} times without an event; "
                    "check that the service runs"
                )
            await asyncio.sleep(backoff(failures, random.random(), self._bounds))

    async def _connection(self, request: Request, reader: EventReader) -> AsyncGenerator[Event]:
        """Events of one connection, until it ends."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": reader.id} if reader.id else {})
        async with self._http.opened(replace(request, headers=headers), self._bounds, QUIET_SECONDS) as incoming:
            if incoming.status in BUSY:
                return
            kind = incoming.headers.get("content-type", "").split(";")[0].strip()
            if incoming.status != 200 or kind != "text/event-stream":
                async with asyncio.timeout(self._bounds.seconds):
                    answer = await incoming.whole()
                content(request, answer)
                raise BadAnswer(f"{request} was answered with {kind[:40]!r}, not with an event stream; check the URL")
            async for chunk in incoming.pieces(endless=True):
                for message in reader.feed(chunk):
                    event = reading(str(request), views.event, message)
                    if event is not None:
                        yield event

    async def wait_final(self, claim: ClaimId | Inference, timeout: float = 600.0) -> ClaimView:
        """Wait until a claim is final; ``timeout`` in seconds. Raises ClaimInvalid, or WaitTimeout.

        With ``l1``, only what L1 says counts, and everything is checked as in ``verify_inclusion``.
        """
        claim_id = claim.claim_id if isinstance(claim, Inference) else claim
        if self._l1 is not None:
            await self._chain()
        state, (pause, longest) = "not known yet", LOOK_SECONDS
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        view = await self.get(claim_id)
                        state = await self._settled(claim, view)
                    except (ClientError, ChainError) as error:
                        # A service or an endpoint that starts again does not end the wait; a refusal or a lie does.
                        if isinstance(error, BadAnswer) or (isinstance(error, ClientError) and _refused(error)):
                            raise
                        state = f"not known ({error})"
                    if state == "final":
                        return view
                    if state == "invalid":
                        reason = view.reason or "it was proven false"
                        raise InvalidClaim(f"claim 0x{claim_id.hex()} is invalid: {reason}")
                    await asyncio.sleep(pause)
                    pause = min(longest, 1.5 * pause)
        except TimeoutError:
            raise WaitTimeout(
                f"after {timeout:g} s the state of claim 0x{claim_id.hex()} is {state}; "
                "wait for the end of its challenge period"
            ) from None

    async def _settled(self, claim: ClaimId | Inference, view: ClaimView) -> str:
        """The state of a claim: the sequencer's word, or L1's where that can be asked."""
        if self._l1 is None:
            return view.state
        try:
            verified = await self._checked(claim, view, await self._chain())
        except verify.Elsewhere:
            return "posted elsewhere than the sequencer says"
        if verified.status is ClaimStatus.UNKNOWN and view.state == "invalid":
            # L1 skipped it: there is no batch in which L1 could call it invalid.
            return "invalid"
        return "pending" if verified.status is ClaimStatus.UNKNOWN else verified.status.name.lower()

    async def verify_inclusion(self, claim: ClaimId | Inference, l1: L1 | None = None) -> Verified:
        """Check all that the service said about a claim against L1; raises BadAnswer for what does not hold.

        The claim's id is computed again, its bytes are hashed, its proof is folded, L1 is asked for its status. Of an
        answer of ``infer`` (of this client, or given) also: that it is about the same model, the inputs that were sent and
        the outputs that came back. A model that was asked for by name is the one that the service says it is: give the id
        of a model that you audited.
        """
        claim_id = claim.claim_id if isinstance(claim, Inference) else claim
        client = await self._chain(l1)
        return await self._checked(claim, await self.get(claim_id), client)

    async def _checked(self, claim: ClaimId | Inference, view: ClaimView, l1: L1Client) -> Verified:
        asked = claim if isinstance(claim, Inference) else self._asked.get(claim)
        claim_id = claim.claim_id if isinstance(claim, Inference) else claim
        return await asyncio.to_thread(verify.check, claim_id, view, asked, l1)

    async def _chain(self, l1: L1 | None = None) -> L1Client:
        given = self._l1 if l1 is None else l1
        if given is None:
            raise ClientError("nothing is checked without L1; give l1=(the URL of an endpoint, the deployment's file)")
        client = await asyncio.to_thread(verify.l1_client, given)
        if l1 is None:
            self._l1 = client
        return client

    async def _ask(self, request: Request, read: Callable[[Any], T]) -> T:
        return reading(str(request), read, content(request, await self._answer(request)))

    async def _answer(self, request: Request) -> HttpAnswer:
        return await self._http.send(request, self._bounds)

    def _remember(self, answer: Inference) -> None:
        self._asked[answer.claim_id] = answer


def _refused(error: ClientError) -> bool:
    """Whether asking again can't help."""
    return error.status is not None and error.status < 500 and error.status not in BUSY


def _unseen(cursor: str, seen: set[str]) -> None:
    if cursor in seen:
        raise BadAnswer(
            f"the cursor {cursor[:40]!r} leads back to a page that was read before; report it to the service"
        )
    seen.add(cursor)


def _id(text: str) -> ModelId | None:
    """The model id that a text is; None if it is a name."""
    try:
        return ModelId(wire.root_of(text, "model"))
    except ClaimError:
        return None
