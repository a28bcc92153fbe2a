"""A receipt: what a prover signs about one answer of its OpenAI-compatible endpoint, and the bytes that it signs for.

The receipt's id is its EIP-712 digest, which needs Keccak and is computed in ``rollup.l1.account.receipts``.

An answer is an object in canonical JSON, followed by its receipt as the member ``touchstone``. Its bytes are those of the object without
that member. A stream's bytes are all that was sent before the event that carries the receipt.
"""

from __future__ import annotations

import json
import math
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from rollup.claim import NO_ROOT, Address
from rollup.errors import ClaimError
from rollup.types import ModelId, Root, Timestamp

MEMBER = "touchstone"
"""The member of an answer that holds its receipt."""

MILLION = 1_000_000
"""Temperature and top_p are signed in millionths."""

SEED_BYTES = 8
NONCE_BYTES = 64
"""Longest nonce of a caller."""

CHAT, COMPLETIONS, EMBEDDINGS = "chat/completions", "completions", "embeddings"
"""The endpoints with receipts; the last one's answers are numbers."""

EVENT = b"data: "
"""Begins every event of a stream."""

DONE = b"data: [DONE]\n\n"
"""The last bytes of a stream."""


@dataclass(frozen=True)
class SamplingTerms:
    """How tokens are drawn. ``temperature``, ``top_p``: in millionths; temperature 0 takes the most likely token. ``top_k``: 0 for all."""

    temperature: int = 0
    top_p: int = MILLION
    top_k: int = 0

    @classmethod
    def of(cls, temperature: int, top_p: int, top_k: int) -> SamplingTerms:
        """Greedy text has one form, whatever else was given."""
        return cls(temperature, top_p, top_k) if temperature else cls()


@dataclass(frozen=True)
class ReceiptAnswer:
    """One answer (a choice). ``claim_nonce``: of the claim that will be made about it, whose input has ``input_root``.

    ``seed_commitment``: SHA-256 that fixes ``seed``, its first 8 bytes; ``tokens``: the answer's, all that were generated; ``cuts``: two
    numbers of each token, the last ones that top-k and top-p kept, which a program is told; nothing where both keep all.
    """

    index: int
    claim_nonce: int
    input_root: Root
    seed_commitment: bytes
    seed: bytes
    prompt_tokens: int
    tokens: tuple[int, ...]
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True)
class AnswerReceipt:
    """``endpoint``: the route, as in ``chat/completions``. ``request_hash``, ``response_hash``: SHA-256 of the bytes. ``template_hash``:
    zero where no chat template was used. ``nonce``: what the seeds follow from, next to the request; ``server_chose`` it if the caller
    gave none. ``posted_by``: last second, as L1 counts them, until which the claims are promised to stand on L1. ``block``: L1's
    newest one when this was signed: the claims stand in later ones. ``prover``: who signs, and whose claims these are.
    """

    endpoint: str
    request_hash: bytes
    response_hash: bytes
    model_id: ModelId
    tokenizer_hash: bytes
    template_hash: bytes
    sampling: SamplingTerms
    nonce: bytes
    server_chose: bool
    created: Timestamp
    posted_by: Timestamp
    block: int
    prover: Address
    answers: tuple[ReceiptAnswer, ...]

    def __post_init__(self) -> None:
        hashes = {
            "request hash": self.request_hash,
            "response hash": self.response_hash,
            "model id": self.model_id,
            "tokenizer hash": self.tokenizer_hash,
            "template hash": self.template_hash,
            **{f"seed commitment {one.index}": one.seed_commitment for one in self.answers},
        }
        for name, data in hashes.items():
            if len(data) != 32:
                raise ClaimError(f"the receipt's {name} has {len(data)} bytes, it must have 32")
        if not self.answers:
            raise ClaimError("the receipt is about no answer; a receipt has at least one")
        if any(one.index != number or len(one.seed) != SEED_BYTES for number, one in enumerate(self.answers)):
            raise ClaimError("the receipt's answers are not numbered from 0, or a seed has not 8 bytes")
        if any(len(one.cuts) not in (0, 2 * len(one.tokens)) for one in self.answers):
            raise ClaimError("the receipt has cuts that are not two numbers of each token")
        cuts = self.sampling.temperature and (self.sampling.top_k or self.sampling.top_p < MILLION)
        if any(one.cuts and not (cuts and any(one.cuts)) for one in self.answers):
            raise ClaimError("the receipt has cuts where nothing is cut")


@dataclass(frozen=True)
class SignedReceipt:
    """``signature``: 65 bytes (r, s, v), of the prover."""

    receipt: AnswerReceipt
    signature: bytes


NO_TEMPLATE = bytes(NO_ROOT)
"""Stands for the template where none was used."""


def seed_commitment(nonce: bytes, index: int, request_hash: bytes) -> bytes:
    """What fixes the seed of answer ``index`` before the prover runs: SHA-256 of nonce, index (4 bytes, big-endian) and the SHA-256 of
    the request's bytes. Its first ``SEED_BYTES`` bytes are the seed.
    """
    return sha256(nonce + index.to_bytes(4, "big") + request_hash).digest()


def millionths(value: float) -> int:
    """The nearest whole number of millionths, halves up; raises ValueError or OverflowError for what is not finite."""
    return math.floor(value * MILLION + 0.5)


def nonce_of(seed: int) -> bytes:
    """The nonce behind a request's ``seed``: its decimal digits."""
    return str(seed).encode()


def canonical(value: Any) -> bytes:
    """JSON in the one form of RFC 8785: sorted keys, no spaces, numbers as JavaScript writes them, UTF-8.

    Raises ClaimError for what has none (a number that is not finite, half a surrogate pair).
    """
    try:
        return _text(value).encode()
    except UnicodeEncodeError:
        raise ClaimError("a text has half a surrogate pair, which UTF-8 can't hold; give sound Unicode") from None


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ClaimError(f"{value} is no number of JSON")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    shown, point = "".join(map(str, digits)), len(digits) + exponent
    minus = "-" if sign else ""
    if not -6 < point <= 21:
        fraction = f".{shown[1:]}" if shown[1:] else ""
        return f"{minus}{shown[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{shown}"
    if point >= len(shown):
        return f"{minus}{shown}{'0' * (point - len(shown))}"
    return f"{minus}{shown[:point]}.{shown[point:]}"


def embedding_of(numbers: Sequence[float], packed: bool) -> list[float] | str:
    """An embedding as an answer holds it: its numbers; or in base64 the bytes of the nearest float32 ones, little-endian."""
    if not packed:
        return list(numbers)
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def numbers_of(packed: str) -> tuple[float, ...]:
    """The float32 numbers of an embedding in base64. Raises ValueError or struct.error for what is none."""
    data = b64decode(packed, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)


def body_of(answer: Mapping[str, Any], receipt: Mapping[str, Any]) -> bytes:
    """The bytes of a whole answer with its receipt."""
    return canonical(answer)[:-1] + b',"' + MEMBER.encode() + b'":' + canonical(receipt) + b"}"


def event_of(data: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return EVENT + canonical(data) + b"\n\n"


def stream_of(chunks: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of a stream's chunks, without the one that carries the receipt."""
    return b"".join(map(event_of, chunks))
