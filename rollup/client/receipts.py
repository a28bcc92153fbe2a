"""Check an answer of the OpenAI-compatible endpoint: only what L1, the hashes and the caller's own model file bear out counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from rollup.claim import arrays
from rollup.client.answer_texts import AnswerTexts, require_words
from rollup.client.answered import AnsweredBytes
from rollup.client.promised import StandingClaim, standing_claims
from rollup.client.said import SaidNumbers, SaidText, numbers_in, said_in
from rollup.client.views import short
from rollup.documents.receipts import ReceiptDocument
from rollup.errors import BadAnswer, ClaimError
from rollup.form.encoding import Header
from rollup.form.program import parse_json
from rollup.l1.account.receipts import receipt_id
from rollup.l1.account.signing import recover
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.numbers import outputs_of
from rollup.receipt import (
    EMBEDDINGS,
    SEED_BYTES,
    AnswerReceipt,
    SamplingTerms,
    embedding_of,
    millionths,
    nonce_of,
    seed_commitment,
)
from rollup.types import ModelId

AnswerStage = Literal["promised", "overdue", "posted", "challenged", "final"]
"""How much is proven: the prover promised, and is late; the claim stands on L1, is disputed, or is final."""

_ORDER: Sequence[AnswerStage] = ("overdue", "promised", "challenged", "posted", "final")


@dataclass(frozen=True)
class VerifiedAnswer:
    """What is proven of an answer so far. ``proven``, ``open``: sentences, what is and what is not; ``claims``: of each answer, None
    while it is not on L1; ``text``: the answers' texts, none of embeddings; ``block``: of L1.
    """

    receipt: ReceiptDocument
    stage: AnswerStage
    proven: tuple[str, ...]
    open: tuple[str, ...]
    claims: tuple[StandingClaim | None, ...]
    text: tuple[str, ...]
    block: int

    @property
    def final(self) -> bool:
        return self.stage == "final"

    def __str__(self) -> str:
        lines = [f"{self.stage} at block {self.block}", *(f"  proven: {one}" for one in self.proven)]
        return "\n".join([*lines, *(f"  not proven: {one}" for one in self.open)])

    def __repr__(self) -> str:
        return f"VerifiedAnswer({short(self.receipt.id)}, {self.stage} at block {self.block})"


@dataclass
class _Check:
    """One check under way: what it found so far."""

    given: AnsweredBytes
    l1: L1Client
    texts: AnswerTexts | None
    proven: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def receipt(self) -> AnswerReceipt:
        try:
            return self.given.receipt.value.receipt
        except ClaimError as error:
            raise BadAnswer(f"the receipt can't be read: {error}") from None

    @property
    def embeds(self) -> bool:
        """Whether the answers are embeddings, not texts."""
        return self.given.receipt.endpoint == EMBEDDINGS


def check_answer(
    given: AnsweredBytes,
    l1: L1Client,
    texts: AnswerTexts | None = None,
    request: bytes | Mapping[str, Any] | None = None,
    model: ModelId | None = None,
    nonce: str | None = None,
) -> VerifiedAnswer:
    """Raises BadAnswer, in words, for whatever does not hold.

    ``texts``: of the model file; without them nothing ties the words to the claim. ``request``: what the caller sent (bytes, or its
    parameters); ``model``: the id that the caller audited; ``nonce``: what the caller put into the header.
    """
    check = _Check(given, l1, texts)
    receipt = check.receipt
    _signature(check, receipt)
    if sha256(given.response).digest() != receipt.response_hash:
        raise BadAnswer("the response's bytes do not hash to the receipt's; the answer was changed")
    check.proven.append("the answer is, byte for byte, the one that was signed for")
    asked = _request(check, receipt, request)
    _model(check, receipt, asked, model)
    _seeds(check, receipt, asked, nonce)
    _sampling(check, receipt, asked)
    said = _response(check, receipt, asked)
    if not l1.is_registered(receipt.model_id):
        raise BadAnswer(
            f"model 0x{receipt.model_id.hex()} is not registered on L1, so that nothing about it can be claimed"
        )
    header = l1.header(receipt.model_id)
    _texts(check, receipt, header, said)
    block = l1.chain.height()
    claims = standing_claims(receipt, header, l1)
    stage = _stage(check, receipt, claims)
    if check.embeds:
        _numbers(check, receipt, header, claims, said)
    else:
        _tokens(check, receipt, header, claims)
    return VerifiedAnswer(
        given.receipt,
        stage,
        tuple(check.proven),
        tuple(check.open),
        tuple(claims),
        tuple(one.text for one in said if isinstance(one, SaidText)),
        block,
    )


def _signature(check: _Check, receipt: AnswerReceipt) -> None:
    document, domain = check.given.receipt, check.l1.domain
    if (document.chain_id, document.contract) != (domain.chain_id, domain.contract):
        raise BadAnswer(
            f"the receipt is for {document.contract} on chain {document.chain_id}, not for {domain.contract} on chain "
            f"{domain.chain_id}; it was changed, or name the deployment that it is for"
        )
    if receipt_id(receipt, domain) != document.id:
        raise BadAnswer("the receipt's fields do not hash to its id; the receipt was changed")
    try:
        signer = recover(document.id, document.signature)
    except ClaimError as error:
        raise BadAnswer(f"the receipt's signature does not hold: {error}") from None
    if signer != receipt.prover:
        raise BadAnswer(f"the receipt names {receipt.prover}, but {signer} signed it; it was changed")
    check.proven.append(f"{receipt.prover} signed for it, and promised to claim it on L1 before {receipt.posted_by}")


def _request(check: _Check, receipt: AnswerReceipt, mine: bytes | Mapping[str, Any] | None) -> dict[str, Any] | None:
    data = mine if isinstance(mine, bytes) else check.given.request
    if data is None:
        check.open.append("that it answers your request: its bytes are not at hand; give request=")
        return None
    if sha256(data).digest() != receipt.request_hash:
        raise BadAnswer("the request's bytes do not hash to the receipt's; the receipt is about another request")
    try:
        asked = parse_json(data.decode())
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise BadAnswer("the request is no JSON object, so that nothing can have answered it")
    if isinstance(mine, Mapping):
        differ = [
            name
            for name in {*mine, *asked}
            if mine.get(name) != asked.get(name)
            and (name != "stream" or asked.get(name))
            # OpenAI's client asks for base64 by itself, and gives the numbers.
            and (name != "encoding_format" or name in mine)
        ]
        if differ:
            raise BadAnswer(f"the receipt is about another request than yours: {', '.join(sorted(differ))} differ")
    if mine is None:
        check.open.append("that the request is yours: it hashes to the receipt's, compare it, or give request=")
    else:
        check.proven.append("it answers your request")
    check.given = check.given.asked(data)
    return {name: value for name, value in asked.items() if value is not None}


def _model(check: _Check, receipt: AnswerReceipt, asked: dict[str, Any] | None, model: ModelId | None) -> None:
    named = str((asked or {}).get("model", ""))
    by_id = named.lower().removeprefix("0x")
    if model is None and len(by_id) == 64 and set(by_id) <= set("0123456789abcdef"):
        model = ModelId(bytes.fromhex(by_id))
    if model is None:
        check.open.append(
            f"that 0x{receipt.model_id.hex()} is the model that you mean: give model= the id that you audited"
        )
    elif model != receipt.model_id:
        raise BadAnswer(f"the answer is of model 0x{receipt.model_id.hex()}, not of 0x{model.hex()}")
    else:
        check.proven.append(f"it is of the model 0x{model.hex()}")


def _seeds(check: _Check, receipt: AnswerReceipt, asked: dict[str, Any] | None, nonce: str | None) -> None:
    for one in receipt.answers:
        commitment = seed_commitment(receipt.nonce, one.index, receipt.request_hash)
        if one.seed_commitment != commitment or one.seed != commitment[:SEED_BYTES]:
            raise BadAnswer(
                f"the seed of answer {one.index} does not follow from nonce and request; the prover chose it"
            )
    if nonce is not None and (receipt.server_chose or receipt.nonce != nonce.encode()):
        raise BadAnswer("the receipt's nonce is not the one that you gave; the prover chose another seed")
    seed = (asked or {}).get("seed")
    if isinstance(seed, int) and (receipt.server_chose or receipt.nonce != nonce_of(seed)):
        raise BadAnswer("the receipt's nonce is not the request's seed; the prover chose another one")
    if check.embeds:
        return
    if not receipt.sampling.temperature:
        check.proven.append("nothing was drawn: each token is the most likely one")
    elif receipt.server_chose:
        check.open.append("that the seed was not picked among many: you gave none, and the server chose it")
    elif nonce is None and type(seed) is not int:
        check.open.append("that the nonce is yours: give nonce=, or the request")
    else:
        check.proven.append("the seed was fixed by your nonce and your request before anything was generated")


def _sampling(check: _Check, receipt: AnswerReceipt, asked: dict[str, Any] | None) -> None:
    if check.embeds and (receipt.sampling != SamplingTerms() or any(one.tokens for one in receipt.answers)):
        raise BadAnswer("the receipt is about embeddings, and says how tokens were drawn; nothing is drawn for them")
    if asked is None or check.embeds:
        return
    try:
        given = asked.get("temperature")
        temperature = receipt.sampling.temperature if given is None else millionths(given)
        terms = SamplingTerms.of(temperature, millionths(asked.get("top_p", 1)), asked.get("top_k", 0))
    except (TypeError, ValueError, OverflowError):
        raise BadAnswer(
            "the request's sampling parameters are no numbers, so that nothing can have answered it"
        ) from None
    if terms != receipt.sampling:
        raise BadAnswer("the receipt's sampling parameters are not those of the request")
    check.proven.append("the sampling parameters are those of the request")


def _response(check: _Check, receipt: AnswerReceipt, asked: dict[str, Any] | None) -> Sequence[SaidText | SaidNumbers]:
    response = check.given.response
    said, named, usage = numbers_in(response) if check.embeds else said_in(response, receipt.endpoint)
    if len(said) != len(receipt.answers):
        raise BadAnswer(f"the response has {len(said)} answers, the receipt is about {len(receipt.answers)}")
    if asked is not None and named != asked.get("model"):
        raise BadAnswer("the response names another model than the request")
    counted = "prompt_tokens" if check.embeds else "completion_tokens"
    count = sum(one.prompt_tokens if check.embeds else len(one.tokens) for one in receipt.answers)
    if usage is not None and usage.get(counted) != count:
        raise BadAnswer(f"the response counts {usage.get(counted)} tokens, the receipt has {count}")
    if any(isinstance(one, SaidText) and one.logprobs for one in said):
        check.open.append("the log-probabilities: no claim is about them")
    return said


def _texts(check: _Check, receipt: AnswerReceipt, header: Header, said: Sequence[SaidText | SaidNumbers]) -> None:
    """The words of request and response are those behind the claims' inputs."""
    texts, request = check.texts, check.given.request
    if texts is None or request is None:
        missing = "the model file (texts=)" if texts is None else "the request"
        check.open.append(f"that these words are those of the claim: that takes {missing}")
        return
    require_words(texts, receipt, header, request, said)
    words = "the words of the request" if check.embeds else "its words, and those of the request,"
    check.proven.append(f"{words} are what the claims are about, token by token")


def _tokens(check: _Check, receipt: AnswerReceipt, header: Header, claims: Sequence[StandingClaim | None]) -> None:
    """The receipt's tokens stand in what was posted: visible without the model file."""
    for one, claim in zip(receipt.answers, claims, strict=True):
        if claim is None or not claim.inputs:
            return
        tokens = arrays(claim.inputs, header.inputs, "input")[0]
        first = one.prompt_tokens
        if tokens[first : first + len(one.tokens)].tolist() != list(one.tokens):
            raise BadAnswer(f"answer {one.index}: the claim is about other tokens than the receipt")
    check.proven.append("the receipt's tokens stand in the claims on L1")


def _numbers(
    check: _Check,
    receipt: AnswerReceipt,
    header: Header,
    claims: Sequence[StandingClaim | None],
    said: Sequence[SaidText | SaidNumbers],
) -> None:
    """The response's numbers are those that were posted: visible without the model file."""
    for one, claim, numbers in zip(receipt.answers, claims, said, strict=True):
        assert isinstance(numbers, SaidNumbers)
        if claim is None:
            continue
        vectors = [array for array in outputs_of(header, claim.outputs) if array.ndim == 1]
        packed = isinstance(numbers.embedding, str)
        # What a float32 can't hold was not sent as one.
        try:
            posted = [embedding_of(array.tolist(), packed) for array in vectors]
        except OverflowError:
            posted = []
        if posted != [numbers.embedding]:
            raise BadAnswer(
                f"answer {one.index}: the embedding is not what claim 0x{claim.claim_id.hex()} says; the prover signed for other "
                "numbers than its program gives"
            )
    if None not in claims:
        check.proven.append("its numbers are exactly those in the claims on L1")


def _stage(check: _Check, receipt: AnswerReceipt, claims: Sequence[StandingClaim | None]) -> AnswerStage:
    late = check.l1.chain.now() > receipt.posted_by
    names: dict[ClaimStatus, AnswerStage] = {
        ClaimStatus.POSTED: "posted",
        ClaimStatus.CHALLENGED: "challenged",
        ClaimStatus.FINAL: "final",
    }
    found: list[AnswerStage] = []
    for one, claim in zip(receipt.answers, claims, strict=True):
        if claim is None:
            found.append("overdue" if late else "promised")
        elif claim.status is ClaimStatus.INVALID:
            raise BadAnswer(f"answer {one.index}: claim 0x{claim.claim_id.hex()} was proven false on L1")
        else:
            found.append(names[claim.status])
    stage = min(found, key=_ORDER.index)
    bond = check.l1.parameters.claim_bond
    if stage == "promised" and check.l1.balance(receipt.prover) < bond:
        check.open.append(f"that the promise can be kept: {receipt.prover} has no free bond on L1")
    what = "numbers" if check.embeds else "tokens"
    sentences = {
        "promised": (check.open, f"that the program gives these {what}: the claim is not on L1 yet"),
        "overdue": (check.open, "anything by L1: the time of the promise is over, and the claim is not there"),
        "posted": (check.open, "that nobody can show it false: the claim is on L1, and can still be challenged"),
        "challenged": (check.open, "that it is right: the claim is disputed on L1 just now"),
        "final": (check.proven, f"the program gives these {what}: the claim is final on L1"),
    }
    where, sentence = sentences[stage]
    where.append(sentence)
    return stage
