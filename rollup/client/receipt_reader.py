"""What a client asks of a prover that keeps receipts; and the one line that checks an answer."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rollup import wire
from rollup.client.answer_texts import AnswerTexts
from rollup.client.answered import AnsweredBytes, answered
from rollup.client.answers import content
from rollup.client.receipts import VerifiedAnswer, check_answer
from rollup.client.verify import L1
from rollup.client.views import reading
from rollup.documents.fields import read
from rollup.documents.receipts import KeptReceipt, ReceiptFile
from rollup.errors import BadAnswer, ClientError
from rollup.http import HttpAnswer, Request
from rollup.l1.client import L1Client
from rollup.types import ModelId

_ID = re.compile("0x[0-9a-fA-F]{64}")


class ReceiptReader(ABC):
    """Reads receipts from the prover at the client's URL."""

    @abstractmethod
    async def _answer(self, request: Request) -> HttpAnswer:
        """The last word of the server."""

    @abstractmethod
    async def _chain(self, l1: L1 | None = None) -> L1Client:
        """The client of L1 that counts."""

    async def receipt(self, receipt_id: str) -> KeptReceipt:
        """A receipt and what became of it, in the prover's words. ``receipt_id``: 0x and 64 hex digits."""
        request = Request("GET", f"/v1/receipts/{wire.hex_of(wire.root_of(receipt_id, 'the receipt'))}")
        return reading(
            str(request), lambda data: read(KeptReceipt, data), content(request, await self._answer(request))
        )

    async def receipt_file(self, receipt_id: str) -> ReceiptFile:
        """A receipt with the bytes that it is about, while the prover keeps them: all that has to be known besides L1."""
        kept = await self.receipt(receipt_id)
        request, response = [await self._bytes(receipt_id, which) for which in ("request", "response")]
        try:
            return ReceiptFile(receipt=kept.receipt, request=request.decode(), response=response.decode())
        except UnicodeDecodeError:
            raise BadAnswer("the bytes that the prover keeps for the receipt are no UTF-8") from None

    async def _bytes(self, receipt_id: str, which: str) -> bytes:
        request = Request("GET", f"/v1/receipts/{receipt_id}/{which}")
        answer = await self._answer(request)
        if answer.status != 200:
            content(request, answer)
            raise BadAnswer(f"{request} was answered with {answer.status}")
        return answer.body

    async def verify(
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

        ``answer``: what the client library returned, a stream's chunks, parsed JSON, bytes, a receipt file (its path, or read), or a
        receipt's id. ``texts``: of the model file (``prover.openai.texts.Texts.load``), without which nothing ties the words to the
        claim. ``request``: what was sent, as bytes or parameters; otherwise the prover is asked for the bytes behind the receipt's
        hash. ``model``: the id that was audited; ``nonce``: what was put into the header.
        """
        client = await self._chain(l1)
        given = await self._given(answer)
        if given.request is None and not isinstance(request, bytes):
            # Where it can't be had, the check says what it could not compare.
            with suppress(ClientError):
                given = given.asked(await self._bytes(wire.hex_of(given.receipt.id), "request"))
        wanted = (
            wire.model_id_of(model if model.startswith("0x") else f"0x{model}") if isinstance(model, str) else model
        )
        return await asyncio.to_thread(check_answer, given, client, texts, request, wanted, nonce)

    async def _given(self, answer: Any) -> AnsweredBytes:
        if isinstance(answer, str) and _ID.fullmatch(answer):
            file = await self.receipt_file(answer)
            if wire.hex_of(file.receipt.id) != answer.lower():
                raise BadAnswer(f"receipt {answer} was asked for, the prover gave another one")
            return AnsweredBytes(file.receipt, file.response.encode(), file.request.encode())
        return answered(answer)
