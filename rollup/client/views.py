"""What a service says, as values. Reading raises BadAnswer for whatever does not have the form of ``rollup.wire``.

These are the service's words: ``verify`` says which of them hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast

import numpy as np

from rollup import wire
from rollup.batch import Inclusion
from rollup.claim import Claim, ClaimId, PostedClaim, output_types
from rollup.client.answers import shown
from rollup.client.stream import Message
from rollup.errors import BadAnswer, ClaimError, ClientError, CommitmentError, EncodingError
from rollup.form.encoding import Header, TensorType, decode_header
from rollup.form.interface import Interface, Named
from rollup.form.program import parse_json, proven_interface
from rollup.merkle import hash_header
from rollup.numbers import cuts, dtype_of, quantised, rounded, saturated
from rollup.types import ModelId, Root, Timestamp

T = TypeVar("T")

State = Literal["pending", "posted", "challenged", "final", "invalid"]

MOST_SIBLINGS = 32
"""Levels of a program tree, and far more descriptors than a program has."""

MOST_BYTES = 1 << 18
"""Of a header, and of an interface."""

BRIEF = 12
"""Most numbers of an array that are shown of it."""


def short(identity: bytes) -> str:
    """An id as a person tells it from others."""
    return f"0x{identity.hex()[:8]}..."


def _brief(array: np.ndarray) -> str:
    """A small array's numbers, or a large one's shape."""
    if array.size > BRIEF:
        return f"{array.dtype}{list(array.shape)}"
    return " ".join(np.array2string(array, precision=6, separator=", ", suppress_small=True).split())


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model. ``dtype``: of the arrays that go in and come out; ``scale``: of the integers in between."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: int


@dataclass(frozen=True)
class ModelView:
    """A model as the sequencer lists it. All but its name and whether it is retired is what its id commits to."""

    id: ModelId
    name: str
    header: Header
    interface: Interface
    retired: bool

    def __repr__(self) -> str:
        takes, gives = (
            ", ".join(f"{port.name} {port.dtype}{list(port.shape)}" for port in ports)
            for ports in (self.inputs, self.outputs)
        )
        return f"ModelView({self.name!r}, {short(self.id)}, {takes} -> {gives}{', retired' if self.retired else ''})"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return _tensors(self.interface.inputs, self.header.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return _tensors(self.interface.outputs, [tensor for _, tensor in self.header.outputs])


@dataclass(frozen=True, eq=False)
class Inference:
    """An answer and the claim that stands for it. ``inputs``: what was sent; ``outputs``: one array per output, in the
    model's dtype and shape; ``saturated``: elements of the outputs that lie at an end of their format, where the real values may lie
    beyond: counted here, before rounding to the dtype. ``saturated_inside``: the same of values inside the program, by the prover's word:
    they can't be counted without running it.
    """

    claim_id: ClaimId
    model: ModelView
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    state: State
    saturated: int
    saturated_inside: int

    def __repr__(self) -> str:
        outputs = ", ".join(
            f"{port.name}={_brief(array)}" for port, array in zip(self.model.outputs, self.outputs, strict=True)
        )
        return f"Inference({short(self.claim_id)}, {self.model.name!r}, {self.state}, {outputs})"

    @property
    def clamped(self) -> int:
        """Numbers of the inputs that were cut to an end of their format: the claim, and the outputs, are about those ends."""
        return sum(one.count for one in cuts(self.model.header, self.model.interface, self.inputs))

    @property
    def result(self) -> Any:
        """The outputs in the structure of the model's function: one array, or a dict, list or tuple."""
        return self.model.interface.restored(self.outputs)


@dataclass(frozen=True)
class BatchView:
    """Where a claim was posted. ``closes_at``: end of its challenge period, by the clock that stops; ``transaction``: its hash."""

    number: int
    root: Root
    posted_at: Timestamp
    closes_at: Timestamp
    transaction: bytes

    def __repr__(self) -> str:
        return f"BatchView({self.number}, in {short(self.transaction)}, closes_at={self.closes_at})"


@dataclass(frozen=True)
class ClaimView:
    """A claim as the sequencer knows it. ``reason``: why it is invalid; ``final_after``: seconds since the epoch after
    which it is final, if nobody disputes it; it moves on whenever any claim is challenged for the first time. ``open_disputes``:
    claims that are disputed now, this one or others; None in lists. ``posted`` is None in lists, which carry no bytes, and its
    signature is empty if somebody else posted the claim to L1; ``batch`` and ``inclusion`` are None until it is posted.
    ``saturated``: elements of the outputs that lie at an end of their format; None if the sequencer can't say.
    """

    claim_id: ClaimId
    state: State
    reason: str | None
    claim: Claim
    taken_at: Timestamp | None
    posted: PostedClaim | None
    batch: BatchView | None
    inclusion: Inclusion | None
    final_after: Timestamp | None
    disputed: bool
    open_disputes: int | None = None
    saturated: int | None = None

    def __repr__(self) -> str:
        about = f"about {short(self.claim.model_id)} by {self.claim.claimant}"
        reason = "" if self.reason is None else f": {self.reason}"
        return f"ClaimView({short(self.claim_id)}, {self.state}{reason}, {about}, final_after={self.final_after})"


@dataclass(frozen=True)
class Event:
    """A claim changed its state. ``at``: seconds since the epoch."""

    id: str
    claim_id: ClaimId
    state: State
    at: Timestamp

    def __repr__(self) -> str:
        return f"Event({self.id}, {short(self.claim_id)}, {self.state}, at={self.at})"


@dataclass(frozen=True)
class Page:
    """Some claims, and the cursor of those that follow; None: no more."""

    claims: tuple[ClaimView, ...]
    next: str | None


def reading(what: str, read: Callable[[Any], T], data: Any) -> T:
    """``read(data)``, its failures as BadAnswer: they are the service's, not the caller's."""
    try:
        return read(data)
    except ClaimError as error:
        raise BadAnswer(f"the answer to {what} can't be what it says: {shown(str(error))}") from None


def claim_view(data: Any) -> ClaimView:
    """One claim, whole or as lists have it; raises ClaimError."""
    read = wire.object_of(data, "the answer", ("claim_id", "state", "claim"))
    batch, inclusion = read.get("batch"), read.get("inclusion")
    return ClaimView(
        wire.claim_id_of(read["claim_id"]),
        state_of(read["state"]),
        None if read.get("reason") is None else shown(_text(read["reason"], "reason")),
        wire.claim_of(read["claim"]),
        _time(read.get("taken_at"), "taken_at"),
        _posted(read) if "inputs" in read else None,
        _batch(batch) if isinstance(batch, dict) else None,
        None if inclusion is None else wire.inclusion_of(inclusion),
        _time(read.get("final_after"), "final_after"),
        _flag(read.get("disputed", False), "disputed"),
        None if read.get("open_disputes") is None else wire.count_of(read["open_disputes"], "open_disputes"),
        None if read.get("saturated") is None else wire.count_of(read["saturated"], "saturated"),
    )


def page(data: Any) -> Page:
    read = wire.object_of(data, "the answer", ("claims", "next"))
    after = read["next"]
    if not isinstance(read["claims"], list) or not (after is None or isinstance(after, str | int)):
        raise ClaimError("claims and next are no list and no cursor")
    return Page(tuple(claim_view(one) for one in read["claims"]), None if after is None else str(after))


def accepted(data: Any) -> tuple[ClaimId, State]:
    """The answer to a claim that was handed in."""
    read = wire.object_of(data, "the answer", ("claim_id", "state"))
    return wire.claim_id_of(read["claim_id"]), state_of(read["state"])


def inference(model: ModelView, inputs: Sequence[np.ndarray], data: Any) -> Inference:
    claim_id, state = accepted(data)
    read = wire.object_of(data, "the answer", ("outputs", "saturated_inside"))
    outputs, inside = read["outputs"], wire.count_of(read["saturated_inside"], "saturated_inside")
    if not isinstance(outputs, list) or len(outputs) != len(model.outputs):
        raise ClaimError(f"outputs is no list of the model's {len(model.outputs)} outputs")
    arrays = tuple(_array(given, tensor) for given, tensor in zip(outputs, model.outputs, strict=True))
    integers = [
        quantised(np.asarray(given), tensor) for given, tensor in zip(outputs, output_types(model.header), strict=True)
    ]
    at_ends = saturated(model.header, model.interface, integers)
    return Inference(claim_id, model, tuple(inputs), arrays, state, at_ends, inside)


def model_view(data: Any) -> ModelView:
    """Raises ClaimError unless header and interface are those of the model's id."""
    read = wire.object_of(data, "a model", ("id", "name", "header", "interface", "proof"))
    model_id, proof = wire.model_id_of(read["id"], "id"), read["proof"]
    if not isinstance(proof, list) or not 1 <= len(proof) <= MOST_SIBLINGS:
        raise ClaimError(f"proof is no list of 1 to {MOST_SIBLINGS} hashes")
    given = wire.bytes_of(read["header"], "header", most=MOST_BYTES)
    siblings = [wire.root_of(one, f"proof[{number}]") for number, one in enumerate(proof)]
    try:
        header = decode_header(given)
        if hash_header(given) != siblings[0]:
            raise ClaimError("header is not the one that proof begins with")
        interface = proven_interface(
            model_id, header, wire.bytes_of(read["interface"], "interface", most=MOST_BYTES), siblings
        )
    except (EncodingError, CommitmentError) as error:
        raise ClaimError(f"header, interface and proof are not those of the model: {error}") from None
    return ModelView(
        model_id,
        shown(_text(read["name"] or "", "name")),
        header,
        interface,
        _flag(read.get("retired", False), "retired"),
    )


def models(data: Any) -> tuple[list[ModelView], str | None]:
    """Models and the cursor of those that follow."""
    read = wire.object_of(data, "the answer", ("models",))
    after = read.get("next")
    if not isinstance(read["models"], list) or not (after is None or isinstance(after, str | int)):
        raise ClaimError("models is no list")
    return [model_view(one) for one in read["models"]], None if after is None else str(after)


def event(message: Message) -> Event | None:
    """The state change that a message tells of; None for any other kind of message. Raises ClaimError, and
    ClientError where the service says that it does not know all changes any more.
    """
    if message.event == "gap":
        raise ClientError(
            f"changes before event {shown(message.id)} are no longer kept; list the claims again, and follow events from now on"
        )
    if message.event != "claim":
        return None
    try:
        data = parse_json(message.data)
    except (ValueError, RecursionError):
        raise ClaimError("an event has no JSON as its data") from None
    read = wire.object_of(data, "an event", ("claim_id", "state", "at"))
    at = _time(read["at"], "at")
    return Event(message.id, wire.claim_id_of(read["claim_id"]), state_of(read["state"]), at or Timestamp(0))


def state_of(value: Any) -> State:
    if not isinstance(value, str) or value not in wire.STATES:
        raise ClaimError(f"state is {shown(str(value)[:40])!r}, none of {', '.join(wire.STATES)}")
    return cast(State, value)


def _posted(read: dict[str, Any]) -> PostedClaim:
    """The claim with its bytes; of one that somebody else posted the sequencer has no signature."""
    unsigned = read.get("signature") is None
    found = wire.posted_of({**read, "signature": "0x" + "00" * wire.SIGNATURE_BYTES} if unsigned else read)
    return replace(found, signature=b"") if unsigned else found


def _batch(data: Any) -> BatchView:
    read = wire.object_of(data, "batch", ("number", "root", "posted_at", "closes_at", "transaction"))
    return BatchView(
        wire.count_of(read["number"], "batch.number"),
        wire.root_of(read["root"], "batch.root"),
        Timestamp(wire.count_of(read["posted_at"], "batch.posted_at")),
        Timestamp(wire.count_of(read["closes_at"], "batch.closes_at")),
        wire.bytes_of(read["transaction"], "batch.transaction", 32),
    )


def _tensors(ports: Sequence[Named], tensors: Sequence[TensorType]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(port.name, tensor.shape, port.dtype, tensor.scale) for port, tensor in zip(ports, tensors, strict=True)
    )


def _array(data: Any, tensor: Tensor) -> np.ndarray:
    """Nested lists as an array of exactly the tensor's shape; raises ClaimError."""
    dtype = dtype_of(tensor.dtype)
    try:
        given = np.asarray(data)
        # Integers stay integers: 2^63 - 1 is no float64.
        fits = given.dtype.kind in "biuf" and (dtype.kind == "f" or given.dtype.kind != "f" or not given.size)
        array = (rounded(given, tensor.dtype) if dtype.kind == "f" else given.astype(dtype)) if fits else None
    except (ValueError, OverflowError):
        array = None
    if array is None or array.shape != tensor.shape or not np.all(np.isfinite(array)):
        raise ClaimError(f"output {tensor.name} is no {tensor.dtype} array of shape {tensor.shape}")
    if dtype.kind != "f" and not np.array_equal(array, given):
        raise ClaimError(f"output {tensor.name} has values outside of {tensor.dtype}")
    return array


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ClaimError(f"{what} is no text")
    return value


def _flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise ClaimError(f"{what} is neither true nor false")
    return value


def _time(value: Any, what: str) -> Timestamp | None:
    return None if value is None else Timestamp(wire.count_of(value, what))
