"""The client for everybody else: the asynchronous one, run in a thread of its own.

One path of I/O serves both, so that a deadline is a deadline here too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from rollup.claim import Address, ClaimId, PostedClaim
from rollup.client.answer_texts import AnswerTexts
from rollup.client.asking import RequestView
from rollup.client.asynchronous import DEFAULT_URL, PAGE, AsyncClient
from rollup.client.receipts import VerifiedAnswer
from rollup.client.verify import L1, Verified
from rollup.client.views import ClaimView, Event, Inference, ModelView, State
from rollup.documents.asked import RequestState
from rollup.documents.receipts import KeptReceipt, ReceiptFile
from rollup.errors import ClientError
from rollup.http import Bounds, LoopThread
from rollup.types import ModelId

T = TypeVar("T")


class Client:
    """Speaks to a sequencer at ``url``; may be used from several threads. Every method is the one of AsyncClient.

    ``l1``: a client of L1 (or an endpoint's URL and a deployment), with which ``wait_final`` believes L1 alone.
    ``bounds``: of every answer, and of attempts. All methods raise ClientError: with ``status`` and ``problem`` if the
    service refused, BadAnswer if what it said can't be true. Close it, or use it with ``with``.
    """

    def __init__(self, url: str = DEFAULT_URL, *, l1: L1 | None = None, bounds: Bounds | None = None) -> None:
        self._client = AsyncClient(url, l1=l1, bounds=bounds)
        self._thread = LoopThread("touchstone-client")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections and the thread back; calls that other threads wait for end with ClientError."""
        self._thread.close(self._client.close)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(work)

    def _each(self, items: AsyncGenerator[T]) -> Iterator[T]:
        async def following() -> tuple[T, ...]:
            async for item in items:
                return (item,)
            return ()

        try:
            while found := self._run(following()):
                yield found[0]
        finally:
            # Closed already, or still busy with what an interrupt cancelled.
            with suppress(ClientError, RuntimeError):
                self._run(items.aclose())

    def models(self) -> list[ModelView]:
        """All models that the sequencer serves."""
        return self._run(self._client.models())

    def model(self, name_or_id: str | ModelId) -> ModelView:
        """One model. What a name stands for is the sequencer's word; an id is checked."""
        return self._run(self._client.model(name_or_id))

    def infer(
        self, model: str | ModelId | ModelView, *inputs: Any, clamp: bool = False, key: str | None = None
    ) -> Inference:
        """Let the service run a model and claim the result. ``inputs``: one array (or nested list) per input. Numbers that an
        input's format can't hold are refused, or with ``clamp`` cut to its ends and counted in the answer.

        ``key``: of an inference that was asked for before and not answered (``Unanswered`` names it): its answer is given, and nothing
        is run twice. With ``l1`` the endpoint and the deployment are checked before anything is asked for.

        The answer is the service's word until the claim is final (``wait_final``) and ``verify_inclusion`` agrees.
        """
        return self._run(self._client.infer(model, *inputs, clamp=clamp, key=key))

    def claim(self, posted: PostedClaim) -> ClaimId:
        """Hand in a claim that its claimant signed; the same claim twice is no error."""
        return self._run(self._client.claim(posted))

    def get(self, claim_id: ClaimId) -> ClaimView:
        """All that the sequencer says about a claim."""
        return self._run(self._client.get(claim_id))

    def claims(
        self,
        *,
        state: State | None = None,
        model: ModelId | None = None,
        claimant: Address | None = None,
        page: int = PAGE,
    ) -> Iterator[ClaimView]:
        """Claims, newest first, without their bytes; ``page``: how many are asked for at a time."""
        return self._each(self._client.claims(state=state, model=model, claimant=claimant, page=page))

    def request(self, request_id: bytes) -> RequestView:
        """All that the sequencer says about a contract's request."""
        return self._run(self._client.request(request_id))

    def requests(
        self,
        *,
        state: RequestState | None = None,
        model: ModelId | None = None,
        requester: Address | None = None,
        page: int = PAGE,
    ) -> Iterator[RequestView]:
        """Requests of contracts, newest first, without their bytes; ``page``: how many are asked for at a time."""
        return self._each(self._client.requests(state=state, model=model, requester=requester, page=page))

    def network(self) -> dict[str, Any]:
        """Chain id, contract and parameters, in the sequencer's words."""
        return self._run(self._client.network())

    def events(self, claim_id: ClaimId | None = None, *, after: str = "") -> Iterator[Event]:
        """Changes of state, of one claim or of all, from now on or after the event ``after``; goes on where it was after
        a lost connection. Ends never; raises ClientError when the service stays away.
        """
        return self._each(self._client.events(claim_id, after=after))

    def wait_final(self, claim: ClaimId | Inference, timeout: float = 600.0) -> ClaimView:
        """Wait until a claim is final; ``timeout`` in seconds. Raises ClaimInvalid, or WaitTimeout.

        With ``l1``, only what L1 says counts, and everything is checked as in ``verify_inclusion``.
        """
        return self._run(self._client.wait_final(claim, timeout))

    def verify_inclusion(self, claim: ClaimId | Inference, l1: L1 | None = None) -> Verified:
        """Check all that the service said about a claim against L1; raises BadAnswer for what does not hold.

        See AsyncClient.verify_inclusion for what is checked.
        """
        return self._run(self._client.verify_inclusion(claim, l1))

    def receipt(self, receipt_id: str) -> KeptReceipt:
        """A receipt and what became of it, in the words of the prover at ``url``."""
        return self._run(self._client.receipt(receipt_id))

    def receipt_file(self, receipt_id: str) -> ReceiptFile:
        """A receipt with the bytes that it is about, while the prover at ``url`` keeps them."""
        return self._run(self._client.receipt_file(receipt_id))

    def verify(
        self,
        answer: Any,
        l1: L1 | None = None,
        *,
        texts: AnswerTexts | None = None,
        request: bytes | Mapping[str, Any] | None = None,
        model: str | ModelId | None = None,
        nonce: str | None = None,
    ) -> VerifiedAnswer:
        """Check an answer of an OpenAI-compatible endpoint, and say what is proven of it. Raises BadAnswer for what does not hold.

        See AsyncClient.verify for what may be given.
        """
        return self._run(self._client.verify(answer, l1, texts=texts, request=request, model=model, nonce=nonce))
