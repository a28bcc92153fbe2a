"""Who runs inferences for the public API: a prover elsewhere, which is believed nothing that can be checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollup import wire
from rollup.claim import Address, ClaimId, PostedClaim, arrays, output_types
from rollup.documents.fields import read
from rollup.documents.inference import AnswerRequest, SignedInference
from rollup.documents.models import HeldModels
from rollup.errors import BadAnswer, ClaimError, ClientError
from rollup.form.encoding import Header
from rollup.form.interface import Interface
from rollup.http import Bounds, Http, Request, TooLong, TooSlow, bearer
from rollup.l1.account.signing import Domain
from rollup.l1.account.signing import claim_id as id_of
from rollup.numbers import cuts, dtype_of, input_bytes, narrowed, outputs_of, prepared, saturated
from rollup.service.limits import busy, check_json
from rollup.service.logs import logger
from rollup.service.metrics import counter, histogram
from rollup.service.problem import Problem
from rollup.types import ModelId, Root, Timestamp

ANSWERS = counter("sequencer", "prover_answers", "What became of requests to the prover", ["outcome"])
SECONDS = histogram("sequencer", "prover_seconds", "Time until the prover answered")

MOST_AT_ONCE = 16
NESTING = 32
_SHOWN = 500
_log = logger("touchstone.prover-client")


@dataclass(frozen=True)
class Inferred:
    """What a prover answered, checked: the claim is about these inputs of this model. ``outputs`` follow from its bytes;
    ``clamped``: numbers of the inputs that were cut; ``saturated``: elements of the outputs that lie at an end of their format;
    ``saturated_inside``: of values inside the program, by the prover's word.
    """

    claim_id: ClaimId
    posted: PostedClaim
    outputs: list[Any]
    clamped: int
    saturated: int
    saturated_inside: int


class ProverClient:
    """``url``: its base; ``token``: what it asks for; ``seconds``: how long one inference may take; ``answer_bytes``: how
    large an answer may be."""

    def __init__(
        self,
        url: str,
        token: str | None,
        domain: Domain,
        seconds: float = 60.0,
        answer_bytes: int = 4 << 20,
        most: int = MOST_AT_ONCE,
    ) -> None:
        self._http = Http(url.rstrip("/"), {"accept": "application/json", **bearer(token)})
        self._domain = domain
        self.seconds, self._answer_bytes = seconds, answer_bytes
        self._free = most

    def __repr__(self) -> str:
        return "ProverClient()"

    async def close(self) -> None:
        await self._http.close()

    async def infer(
        self, model_id: ModelId, header: Header, interface: Interface, inputs: list[Any], clamp: bool = False
    ) -> Inferred:
        """Have a model run. ``clamp``: numbers beyond an input's format are cut. Raises ClaimError for inputs that the model
        does not take, Problem 503 if the prover can't be asked, 502 if its answer does not hold.
        """
        asked, clamped = input_bytes_of(header, interface, inputs, clamp)
        if self._free <= 0:
            raise busy("the prover has as many requests as it takes")
        self._free -= 1
        try:
            with SECONDS.time():
                body = {"model": wire.hex_of(model_id), "inputs": inputs, "clamp": clamp}
                answer = await self._ask("POST", "/v1/infer", body)
        finally:
            self._free += 1
        try:
            claimed, posted, inside = self._checked(answer, model_id, asked)
            outputs = outputs_of(header, posted.outputs)
        except (ClaimError, BadAnswer) as error:
            raise self._false(error) from None
        ANSWERS.labels("ok").inc()
        at_ends = saturated(header, interface, arrays(posted.outputs, output_types(header), "output"))
        return Inferred(claimed, posted, [array.tolist() for array in outputs], clamped, at_ends, inside)

    async def account(self) -> Address:
        """Who signs there, by the prover's word. Raises Problem 503 if it can't be asked."""
        return read(HeldModels, await self._ask("GET", "/v1/models", None)).claimant

    async def answer(
        self, model_id: ModelId, inputs: bytes, request_id: bytes, nonce: int, valid_until: Timestamp
    ) -> PostedClaim:
        """Have a request on L1 answered: the claim about these input bytes, signed. Raises as ``infer``."""
        asked = AnswerRequest(
            model_id=model_id,
            inputs=inputs,
            request_id=Root(request_id),
            nonce=str(nonce),
            valid_until=valid_until,
        )
        with SECONDS.time():
            answer = await self._ask("POST", "/v1/answer", asked.model_dump())
        try:
            _, posted, _ = self._checked(answer, model_id, inputs)
            if (posted.claim.request_id, posted.claim.nonce) != (request_id, nonce):
                raise BadAnswer("its claim names another request, or has another nonce, than was asked for")
        except (ClaimError, BadAnswer) as error:
            raise self._false(error) from None
        ANSWERS.labels("ok").inc()
        return posted

    def _false(self, error: Exception) -> Problem:
        ANSWERS.labels("false").inc()
        _log.error("the prover's answer does not hold", error=str(error))
        return Problem(
            502,
            "prover-answer",
            "The prover's answer does not hold",
            "the prover answered what can't be right, and nothing was claimed; the operator finds why in the log",
        )

    def _checked(self, answer: Any, model_id: ModelId, asked: bytes) -> tuple[ClaimId, PostedClaim, int]:
        said = read(SignedInference, answer)
        posted = said.posted.value
        claimed = id_of(posted.claim, self._domain)
        if said.claim_id != claimed:
            raise BadAnswer(f"it names claim {wire.hex_of(said.claim_id)}, but gives claim {wire.hex_of(claimed)}")
        if posted.claim.model_id != model_id:
            raise BadAnswer(f"it claims something about model {wire.hex_of(posted.claim.model_id)}")
        if posted.inputs != asked:
            raise BadAnswer("its claim is about other inputs than those that were asked about")
        return claimed, posted, said.saturated_inside

    async def _ask(self, method: str, route: str, body: dict[str, Any] | None) -> Any:
        try:
            answer = await self._http.once(Request(method, route, json=body), Bounds(self._answer_bytes, self.seconds))
        except TooSlow as error:
            raise self._down("timeout", str(error)) from None
        except TooLong as error:
            raise self._down("too-large", str(error)) from None
        except ClientError as error:
            raise self._down("unreachable", str(error)) from None
        return self._meant(answer.status, answer.body)

    def _meant(self, status: int, data: bytes) -> Any:
        """The parsed body of a good answer; a refusal is passed on."""
        try:
            check_json(data, NESTING)
            parsed = json.loads(data)
        except (Problem, ValueError):
            raise self._down("garbled", f"it answered {status} with what is no JSON") from None
        if 200 <= status < 300:
            return parsed
        if status == 404:
            # The model is offered here; a prover that looks for new ones has it soon.
            raise self._down("missing", "it does not hold the model yet")
        if status in (400, 409, 413, 422):
            ANSWERS.labels("refused").inc()
            detail = parsed.get("detail") if isinstance(parsed, dict) else None
            raise Problem(422, "prover-refused", "The prover refused", _line(detail))
        raise self._down("failing", f"it answered {status}")

    def _down(self, outcome: str, why: str) -> Problem:
        ANSWERS.labels(outcome).inc()
        _log.warning("the prover can't be asked", error=why)
        return Problem(
            503,
            "prover",
            "The prover does not answer",
            "the prover can't run this now, nothing was claimed; try again in some seconds",
            {"retry-after": "5"},
        )


def input_bytes_of(header: Header, interface: Interface, inputs: list[Any], clamp: bool = False) -> tuple[bytes, int]:
    """What a claim about these inputs must have posted, and how many numbers are cut in it; raises ClaimError for inputs that
    the model does not take, without ``clamp`` for those that would be cut, too.
    """
    if len(inputs) != len(header.inputs):
        raise ClaimError(f"the model takes {len(header.inputs)} inputs, {len(inputs)} were given; give one per input")
    sent: list[np.ndarray] = []
    try:
        for given, tensor, port in zip(inputs, header.inputs, interface.inputs, strict=True):
            if not has_shape(given, tensor.shape):
                raise ClaimError(
                    f"input {port.name} is no nested list of numbers of shape {list(tensor.shape)}; send one"
                )
            as_sent = prepared(given, port.name, tensor.shape, "float64" if port.real else port.dtype)
            sent.append(narrowed(as_sent, dtype_of(port.dtype)))
        found = cuts(header, interface, sent)
        if found and not clamp:
            raise ClaimError(found[0].refusal)
        return input_bytes(header, sent), sum(one.count for one in found)
    except (ClientError, OverflowError) as error:
        raise ClaimError(str(error)) from None


def has_shape(given: Any, shape: Sequence[int]) -> bool:
    """Whether this is a nested list of exactly this shape. Looked at level by level, so that nobody pays for more elements
    than the model takes: an array made of a million empty lists takes seconds in which nothing else runs.
    """
    level = [given]
    for size in shape:
        if not all(isinstance(one, list) and len(one) == size for one in level):
            return False
        level = [inner for one in level for inner in one]
    return all(isinstance(one, int | float) for one in level)


def _line(detail: Any) -> str:
    """A prover's words, fit to be passed on: one line, not too long."""
    if not isinstance(detail, str):
        return "it gave no reason"
    return "".join(character if character.isprintable() else " " for character in detail[:_SHOWN])
