"""Receipts are signed when an answer is whole; the claims that they promise are made later, when nobody waits for a token."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from prover.claims import MadeClaim
from prover.openai.answers import Answering
from prover.openai.speakers import Seats
from prover.openai.store import EndpointStore, KeptBytes, Promise
from prover.service.worker import InferenceWorker
from rollup.claim import Address, ClaimId, PostedClaim, input_root
from rollup.documents.claims import SignedClaim
from rollup.documents.fields import read
from rollup.documents.receipts import ReceiptDocument
from rollup.errors import ClientError
from rollup.l1.account.receipts import receipt_id
from rollup.l1.account.signing import Domain, Signer
from rollup.numbers import input_bytes
from rollup.receipt import SEED_BYTES, AnswerReceipt, ReceiptAnswer, SignedReceipt
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.types import Timestamp

RECEIPTS = counter("prover", "receipts", "Receipts signed", ["model"])
PROMISED = counter("prover", "promised_claims", "What became of claims that receipts promise", ["outcome"])
WAITING = gauge("prover", "promised_claims_waiting", "Claims that receipts promise and that are not handed in yet")
LATE = gauge("prover", "promised_claims_late", "Claims that should be handed in by the receipts that promise them")

ACCEPTED = "accepted"
"""The output of a language model's program that says whether the answer is its own, or the text can be embedded."""

LOOKED_AT = 1000
"""Promises among which late ones are counted."""

ROUND = 16
"""Promises that are looked at in one round."""

_log = logger("touchstone.openai")


@dataclass(frozen=True)
class PromiseTerms:
    """Seconds. ``posted_within``: from a receipt until its claims are promised to stand on L1; ``kept_for``: how long the bytes of
    request and response are kept.
    """

    posted_within: int = 3600
    kept_for: int = 7 * 86_400

    @property
    def due(self) -> int:
        """How long before a promise's end its claim is made although somebody waits for a token."""
        return self.posted_within // 2


class ReceiptSigner:
    """Signs receipts, and writes down what they promise. ``block``: L1's newest one, as far as it is known."""

    def __init__(
        self,
        worker: InferenceWorker,
        store: EndpointStore,
        signer: Signer,
        domain: Domain,
        terms: PromiseTerms,
        now: Callable[[], Timestamp],
        block: Callable[[], int],
    ) -> None:
        self._worker, self._store, self._signer, self._domain = worker, store, signer, domain
        self._terms, self._now, self._block = terms, now, block
        self.signed: Callable[[], None] = lambda: None
        """Called when there are claims to be made."""

    def sign(self, answering: Answering, response: bytes) -> dict[str, Any]:
        """The receipt of an answer that is whole, as it travels. It is on the disk when this returns."""
        until = Timestamp(self._now() + self._terms.posted_within)
        receipt, inputs = receipt_of(
            answering, response, self._worker.reserve, self._signer.address, until, self._block()
        )
        name, document = signed_document(receipt, self._signer, self._domain)
        kept = KeptBytes(json.dumps(document).encode(), answering.request, response, self._now() + self._terms.kept_for)
        self._store.keep(
            name,
            kept,
            [
                Promise(name, one.index, receipt.model_id, one.claim_nonce, data, until, None, None, None, None, 0)
                for one, data in zip(receipt.answers, inputs, strict=True)
            ],
        )
        RECEIPTS.labels(answering.texts.language.name).inc()
        self.signed()
        return document


def receipt_of(
    answering: Answering,
    response: bytes,
    reserve: Callable[[], int],
    prover: Address,
    until: Timestamp,
    block: int,
) -> tuple[AnswerReceipt, list[bytes]]:
    """(the receipt of an answer that is whole, the input bytes of the claims that it promises).

    ``response``: the bytes that it is about; ``reserve``: gives a nonce for each claim; ``until``, ``block``: see
    ``AnswerReceipt``.
    """
    header = answering.model.program.header
    answers, found = [], []
    for index, one in enumerate(answering.promised()):
        commitment = answering.commitment(index)
        found.append(input_bytes(header, one.inputs))
        root, seed = input_root(header, found[-1]), commitment[:SEED_BYTES]
        answers.append(ReceiptAnswer(index, reserve(), root, commitment, seed, len(one.prompt), one.tokens, one.cuts))
    endpoint = answering.what.endpoint
    receipt = AnswerReceipt(
        endpoint,
        sha256(answering.request).digest(),
        sha256(response).digest(),
        answering.model.program.id,
        answering.texts.tokenizer_hash,
        answering.texts.template_hash(endpoint),
        answering.sampling,
        answering.nonce,
        answering.server_chose,
        Timestamp(answering.created),
        until,
        block,
        prover,
        tuple(answers),
    )
    return receipt, found


def signed_document(receipt: AnswerReceipt, signer: Signer, domain: Domain) -> tuple[bytes, dict[str, Any]]:
    """(the receipt's id, the receipt as it travels)."""
    name = receipt_id(receipt, domain)
    signed = SignedReceipt(receipt, signer.sign(name))
    return name, ReceiptDocument.of(signed, name, domain.chain_id, domain.contract).model_dump()


class PromiseKeeper:
    """Makes the claims that receipts promise, and hands them in. ``submit`` gives one to a sequencer; ``made``: what is told of each
    claim that was made.
    """

    def __init__(
        self,
        worker: InferenceWorker,
        store: EndpointStore,
        seats: Seats,
        terms: PromiseTerms,
        now: Callable[[], Timestamp],
        submit: Callable[[PostedClaim], ClaimId],
        made: Callable[[MadeClaim], None],
    ) -> None:
        self._worker, self._store, self._seats, self._terms = worker, store, seats, terms
        self._now, self._submit, self._made = now, submit, made
        self.trouble: str | None = None
        """Why a claim that is due can't be handed in; None if none is due."""

    def step(self) -> None:
        """Hand in what waits, as long as nobody waits for a token, or it is due. Raises ClientError if none could be handed in."""
        failed: ClientError | None = None
        done = 0
        self._store.forget(self._now())
        for one in self._store.open_promises(ROUND):
            due = self._now() >= one.posted_by - self._terms.due
            if not due and not self._seats.idle:
                break
            try:
                self._keep(one)
                done += 1
            except ClientError as error:
                failed = error
                PROMISED.labels("refused").inc()
                _log.warning(
                    "a promised claim is not handed in yet", receipt=f"0x{one.receipt.hex()}", error=str(error)
                )
        WAITING.set(self._store.waiting())
        self._look(failed)
        if failed is not None and not done:
            raise failed

    def _keep(self, one: Promise) -> None:
        posted = one.posted
        if posted is None:
            held, made = self._worker.keep_promise(one.model, one.inputs, one.nonce)
            if not int(made.integers[held.model.program.interface.output(ACCEPTED)]):
                _log.error("the program does not accept an answer that it gave", receipt=f"0x{one.receipt.hex()}")
            self._made(made)
            posted = SignedClaim.of(made.posted).model_dump_json().encode()
            self._store.made(one, made.claim_id, posted, made.saturated, made.saturated_inside)
        self._submit(read(SignedClaim, json.loads(posted)).value)
        self._store.submitted(one)
        PROMISED.labels("submitted").inc()

    def _look(self, failed: ClientError | None) -> None:
        late = [one for one in self._store.open_promises(LOOKED_AT) if one.posted_by < self._now()]
        LATE.set(len(late))
        self.trouble = (
            f"a claim was promised to stand on L1 before {late[0].posted_by} and is not handed in ({failed or 'it waits'}); "
            "look at the sequencer"
            if late
            else None
        )
