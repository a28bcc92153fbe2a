"""Receipts in which something is not as it was signed, or was signed although it is not so; each must be refused with a reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from random import Random
from typing import Any

from rollup.documents.fields import read
from rollup.documents.receipts import ReceiptDocument
from rollup.errors import ClaimError
from rollup.l1.account.receipts import receipt_id
from rollup.l1.account.signing import Domain, Signer
from rollup.receipt import SignedReceipt

Json = dict[str, Any]
Change = Callable[[Random, Json], None]
"""Changes a receipt file in place."""


def _flipped(random: Random, text: str) -> str:
    """Another hex digit, or another character, somewhere."""
    at = random.randrange(2 if text.startswith("0x") else 0, len(text))
    others = "0123456789abcdef" if text.startswith("0x") else "abcxyz "
    return text[:at] + random.choice([one for one in others if one != text[at].lower()]) + text[at + 1 :]


def _field(name: str) -> Change:
    def change(random: Random, file: Json) -> None:
        value = file["receipt"][name]
        file["receipt"][name] = _other(random, value)

    return change


def _answer_field(name: str) -> Change:
    def change(random: Random, file: Json) -> None:
        one = random.choice(file["receipt"]["answers"])
        one[name] = _other(random, one[name])

    return change


def _other(random: Random, value: Any) -> Any:
    if isinstance(value, int):
        return value + 1 + random.randrange(5)
    if isinstance(value, list):
        if not value:
            return [0, 0]
        at = random.randrange(len(value))
        return [*value[:at], value[at] + 1, *value[at + 1 :]]
    if value in ("caller", "server"):
        return "server" if value == "caller" else "caller"
    if value.isdigit():
        return str(int(value) + 1)
    return _flipped(random, value)


def _byte(name: str) -> Change:
    """One character of the request or of the answer."""

    def change(random: Random, file: Json) -> None:
        text = file[name]
        at = random.randrange(len(text))
        file[name] = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]

    return change


def _longer(name: str) -> Change:
    def change(random: Random, file: Json) -> None:
        at = random.randrange(len(file[name]) + 1)
        file[name] = file[name][:at] + " " + file[name][at:]

    return change


FIELDS = (
    "id endpoint request_sha256 response_sha256 model_id tokenizer_sha256 template_sha256 temperature_millionths top_k nonce "
    "nonce_by created posted_by block prover chain_id contract signature"
)
ANSWER_FIELDS = "index claim_nonce input_root seed_commitment seed prompt_tokens tokens cuts"

UNSIGNED: Mapping[str, Change] = {
    **{name: _field(name) for name in FIELDS.split()},
    **{f"answers.{name}": _answer_field(name) for name in ANSWER_FIELDS.split()},
    **{f"a byte of the {name}": _byte(name) for name in ("request", "response")},
    **{f"a space in the {name}": _longer(name) for name in ("request", "response")},
}
"""What somebody can change who has not the prover's key."""


def _reworded(random: Random, file: Json) -> None:
    """Another word in the answer, with the hash that belongs to it."""
    marks = [mark for mark in ('"content":"', '"text":"') if mark in file["response"]]
    at = file["response"].index(marks[0]) + len(marks[0])
    file["response"] = file["response"][:at] + "Z" + file["response"][at:]


def _finished(random: Random, file: Json) -> None:
    old, new = ("length", "stop") if '"finish_reason":"length"' in file["response"] else ("stop", "length")
    file["response"] = file["response"].replace(f'"finish_reason":"{old}"', f'"finish_reason":"{new}"')


def _asked(name: str, value: Any) -> Change:
    """Another request, with the hash that belongs to it."""

    def change(random: Random, file: Json) -> None:
        file["request"] = json.dumps(json.loads(file["request"]) | {name: value})

    return change


def _shorter(random: Random, file: Json) -> None:
    one = random.choice(file["receipt"]["answers"])
    one["tokens"] = one["tokens"][:-1]


SIGNED: Mapping[str, Change] = {
    **{
        f"answers.{name}": _answer_field(name)
        for name in ("input_root", "seed_commitment", "seed", "prompt_tokens", "tokens", "cuts")
    },
    **{name: _field(name) for name in ("tokenizer_sha256", "template_sha256", "nonce", "nonce_by", "model_id")},
    "answers.tokens, one less": _shorter,
    "another word": _reworded,
    "another end": _finished,
    "another seed": _asked("seed", 987_654_321),
    "another limit": _asked("max_tokens", 1),
    "another temperature": _asked("temperature", 0.123),
    "another model": _asked("model", "0x" + "5a" * 32),
}
"""What a prover that lies can sign for."""


def tampered(random: Random, file: Json, signer: Signer, domain: Domain, signs: bool) -> tuple[str, Json]:
    """(what was changed, the changed receipt file). ``signs``: the prover itself lies, and signs what it says."""
    found = copy.deepcopy(file)
    changes = SIGNED if signs else UNSIGNED
    while True:
        name = random.choice(list(changes))
        changes[name](random, found)
        if found != file:
            break
    if not signs:
        return name, found
    try:
        return f"{name}, signed", signed_again(found, signer, domain)
    except ClaimError:
        # What is no receipt at all can't be signed for.
        return f"{name}, unsound", found


def signed_again(file: Json, signer: Signer, domain: Domain) -> Json:
    """The same with the hashes of its bytes, under the prover's signature."""
    hashes = {f"{name}_sha256": "0x" + sha256(file[name].encode()).hexdigest() for name in ("request", "response")}
    receipt = read(ReceiptDocument, file["receipt"] | hashes).value.receipt
    name = receipt_id(receipt, domain)
    document = ReceiptDocument.of(SignedReceipt(receipt, signer.sign(name)), name, domain.chain_id, domain.contract)
    return file | {"receipt": document.model_dump()}
