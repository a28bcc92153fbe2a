"""What a service says, as values. Reading raises BadAnswer for whatever is no document of ``rollup.documents``.

These are the service's words: ``verify`` says which of them hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from rollup.batch import Inclusion
from rollup.claim import Claim, ClaimId, PostedClaim, output_types
from rollup.client.answers import shown
from rollup.client.stream import Message
from rollup.documents.claims import AcceptedClaim, ClaimChange, ClaimDocument, ClaimPage, ClaimSummary, OnL1
from rollup.documents.fields import StateName, read
from rollup.documents.inference import InferAnswer
from rollup.documents.models import ModelDocument, ModelPage
from rollup.errors import BadAnswer, ClaimError, ClientError, CommitmentError, EncodingError
from rollup.form.encoding import Header, TensorType, decode_header
from rollup.form.interface import Interface, Named
from rollup.form.program import parse_json, proven_interface
from rollup.merkle import hash_header
from rollup.numbers import cuts, dtype_of, quantised, rounded, saturated
from rollup.types import ModelId, Root, Timestamp

T = TypeVar("T")

State = StateName

MOST_SIBLINGS = 32
"""Levels of a program tree, and far more descriptors than a program has."""

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


def reading(what: str, read: Callable[[Any], T], data: Any) -> T:
    """``read(data)``, its failures as BadAnswer: they are the service's, not the caller's."""
    try:
        return read(data)
    except ClaimError as error:
        raise BadAnswer(f"the answer to {what} can't be what it says: {shown(str(error))}") from None


def claim_view(data: Any) -> ClaimView:
    """One claim, whole; raises ClaimError."""
    whole = read(ClaimDocument, data)
    inclusion = None if whole.inclusion is None else whole.inclusion.value
    # Of a claim that somebody else posted the sequencer has no signature.
    posted = PostedClaim(whole.claim.value, whole.signature or b"", whole.inputs, whole.outputs)
    return replace(
        _listed(whole),
        posted=posted,
        inclusion=inclusion,
        disputed=whole.disputed,
        open_disputes=whole.open_disputes,
        saturated=whole.saturated,
    )


def page(data: Any) -> tuple[list[ClaimView], str | None]:
    """Claims without their bytes, and the cursor of those that follow."""
    found = read(ClaimPage, data)
    return [_listed(one) for one in found.claims], found.next


def _listed(one: ClaimSummary) -> ClaimView:
    return ClaimView(
        one.claim_id,
        one.state,
        None if one.reason is None else shown(one.reason),
        one.claim.value,
        None if one.taken_at is None else Timestamp(one.taken_at),
        None,
        None if one.batch is None else _batch(one.batch),
        None,
        None if one.final_after is None else Timestamp(one.final_after),
        False,
    )


def _batch(where: OnL1) -> BatchView:
    return BatchView(
        where.number, where.root, Timestamp(where.posted_at), Timestamp(where.closes_at), where.transaction
    )


def accepted(data: Any) -> tuple[ClaimId, State]:
    """The answer to a claim that was handed in."""
    found = read(AcceptedClaim, data)
    return found.claim_id, found.state


def inference(model: ModelView, inputs: Sequence[np.ndarray], data: Any) -> Inference:
    found = read(InferAnswer, data)
    if len(found.outputs) != len(model.outputs):
        raise ClaimError(f"outputs is no list of the model's {len(model.outputs)} outputs")
    arrays = tuple(_array(given, tensor) for given, tensor in zip(found.outputs, model.outputs, strict=True))
    integers = [
        quantised(np.asarray(given), tensor)
        for given, tensor in zip(found.outputs, output_types(model.header), strict=True)
    ]
    at_ends = saturated(model.header, model.interface, integers)
    return Inference(found.claim_id, model, tuple(inputs), arrays, found.state, at_ends, found.saturated_inside)


def model_view(data: Any) -> ModelView:
    """Raises ClaimError unless header and interface are those of the model's id."""
    return _proven(read(ModelDocument, data))


def models(data: Any) -> tuple[list[ModelView], str | None]:
    """Models and the cursor of those that follow."""
    found = read(ModelPage, data)
    return [_proven(one) for one in found.models], found.next


def _proven(given: ModelDocument) -> ModelView:
    if not 1 <= len(given.proof) <= MOST_SIBLINGS:
        raise ClaimError(f"proof is no list of 1 to {MOST_SIBLINGS} hashes")
    try:
        header = decode_header(given.header)
        if hash_header(given.header) != given.proof[0]:
            raise ClaimError("header is not the one that proof begins with")
        interface = proven_interface(given.id, header, given.interface, given.proof)
    except (EncodingError, CommitmentError) as error:
        raise ClaimError(f"header, interface and proof are not those of the model: {error}") from None
    return ModelView(given.id, shown(given.name), header, interface, given.retired)


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
    change = read(ClaimChange, data, "an event")
    return Event(message.id, change.claim_id, change.state, Timestamp(change.at))


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
