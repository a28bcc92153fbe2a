"""Groups of claims of any form and order, models for them, and what L1 must say about each group, from a few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from rollup.batch import Batch
from rollup.claim import NO_ROOT, Address, Claim, PostedClaim, input_root, output_root, output_types
from rollup.form.encoding import Header, TensorType, TracePolicy, encode_header
from rollup.group import Group
from rollup.l1.account.signing import group_digest
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import BatchPosted, ClaimPosted, ClaimSkipped, Event, GroupRefused, ModelRegistered
from rollup.l1.node.embedded import EmbeddedChain
from rollup.merkle import tensor_tree
from rollup.types import LEAF_BYTES, DType, ModelId, Root
from tests.world import TERMS, deploy

NONCES = (0, 200, 254, 255, 256, 511, 2**128 + 250, 2**256 - 300, 2**256 - 1)
"""First nonces: at the ends of words, and of all nonces."""


UNKNOWN = ModelId(Root(b"\x77" * 32))
MISSING = Root(b"\x66" * 32)
"""Of an input that nobody has uploaded."""


def tensor(*shape: int, dtype: DType = DType.I8) -> TensorType:
    return TensorType(dtype, 0, shape)


SHAPES: tuple[tuple[TracePolicy, tuple[TensorType, ...], tuple[TensorType, ...]], ...] = (
    (TracePolicy.WITH_CLAIM, (tensor(1),), (tensor(3),)),
    (
        TracePolicy.ON_DISPUTE,
        (tensor(300, dtype=DType.I16), tensor(5)),
        (tensor(2, dtype=DType.I64), tensor(), tensor(7)),
    ),
    (TracePolicy.WITH_CLAIM, (tensor(0),), (tensor(32),)),
    (TracePolicy.ON_DISPUTE, (tensor(32),), (tensor(4, 0), tensor(0))),
    (TracePolicy.ON_DISPUTE, (tensor(0),), (tensor(0),)),
    (TracePolicy.WITH_CLAIM, (tensor(1025),), (tensor(2048), tensor(1))),
)
"""Of models: with records of no bytes, of the length of a root, of several leaves."""


def header_of(policy: TracePolicy, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Header:
    given = tuple((len(inputs), kind) for kind in outputs)
    return Header(policy, 2, 1, len(inputs) + 1, tuple(inputs), given)


@dataclass(frozen=True)
class Form:
    """What a claim of a group looks like. ``seed``: of its bytes; those that can be uploaded have two."""

    model: int
    named: bool
    input_uploaded: bool
    output_uploaded: bool
    seed: int


@dataclass(frozen=True)
class Plan:
    """A group to be posted. ``fault``: how it is spoiled, if it is."""

    claimant: int
    first_nonce: int
    forms: tuple[Form, ...]
    fault: str = ""


FAULTS = ("", "", "", "", "signature", "expired", "unknown", "missing", "poor")


def plans(most: int) -> st.SearchStrategy[Plan]:
    form = st.builds(
        Form, st.integers(0, len(SHAPES) - 1), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 1)
    )
    # A few forms, each many times in a row, as in real groups; and a new one for every claim.
    rows = st.lists(st.tuples(form, st.integers(1, most)), min_size=1, max_size=4)
    forms = rows.map(lambda found: tuple(one for one, times in found for _ in range(times))[:most])
    return st.builds(Plan, st.integers(0, 1), st.sampled_from(NONCES), forms, st.sampled_from(FAULTS))


def data_of(kinds: Sequence[TensorType], seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, kind.bytes, np.uint8).tobytes() for kind in kinds]


@dataclass
class Ground:
    """A chain with models, uploads, two claimants with money and a third without. ``used``: (claimant, nonce) on L1."""

    chain: EmbeddedChain = field(default_factory=EmbeddedChain)
    used: set[tuple[Address, int]] = field(default_factory=set)
    next_nonce: int = 10**6

    def __post_init__(self) -> None:
        self.poster = deploy(self.chain, self.chain.signer("poster"))
        self.claimants = [self.client(name, 90_000) for name in ("one", "two")]
        self.poor = self.client("poor", 0)
        self.headers = [header_of(*shape) for shape in SHAPES]
        self.models = [self._model(header) for header in self.headers]

    def client(self, name: str, bonds: int) -> L1Client:
        client = self.poster.using(self.chain.signer(name, 10**22 * 2))
        if bonds:
            client.deposit(bonds * TERMS.claim_bond)
        return client

    def _model(self, header: Header) -> ModelId:
        receipt = self.poster._send("RollupChain", "registerModel", encode_header(header), bytes(32))
        model_id = receipt.one(ModelRegistered).model_id
        for is_output, kinds in ((False, header.inputs), (True, output_types(header))):
            if all(kind.bytes for kind in kinds):
                for seed in (0, 1):
                    self._upload(model_id, is_output, data_of(kinds, seed))
        return model_id

    def _upload(self, model_id: ModelId, is_output: bool, parts: Sequence[bytes]) -> None:
        roots = []
        for part in parts:
            self.poster.upload(part)
            leaves = (len(part) + LEAF_BYTES - 1) // LEAF_BYTES
            roots.append(tensor_tree(part, (leaves - 1).bit_length()).root)
        self.poster.assemble(model_id, is_output, roots)

    def claim(self, plan: Plan, at: int) -> PostedClaim:
        """Claim ``at`` of a planned group; its group is what is signed."""
        form = plan.forms[at]
        header, model_id = self.headers[form.model], self.models[form.model]
        inputs = b"".join(data_of(header.inputs, form.seed))
        outputs = b"".join(data_of(output_types(header), form.seed))
        missing = plan.fault == "missing" and at == len(plan.forms) - 1 and any(kind.bytes for kind in header.inputs)
        claim = Claim(
            UNKNOWN if plan.fault == "unknown" and at == len(plan.forms) - 1 else model_id,
            self._claimant(plan).account,
            plan.first_nonce + at,
            1 if plan.fault == "expired" else 2**64 - 1,
            b"\x05" * 32 if form.named else NO_ROOT,
            MISSING if missing else input_root(header, inputs),
            output_root(header, outputs),
            Root(b"\x09" * 32) if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT,
        )
        bare = missing or (form.input_uploaded and all(kind.bytes for kind in header.inputs))
        short = form.output_uploaded and all(kind.bytes for kind in output_types(header))
        return PostedClaim(claim, b"", b"" if bare else inputs, b"" if short else outputs)

    def fresh(self) -> int:
        """A nonce behind which there are some that nobody has used."""
        self.next_nonce += 100
        return self.next_nonce

    def roots(self, posted: ClaimPosted) -> tuple[bool, bool]:
        """Whether input and output root of a posted claim are those of its bytes, where they came with it."""
        header = self.headers[self.models.index(posted.claim.model_id)]
        inputs = not posted.inputs or input_root(header, posted.inputs) == posted.claim.input_root
        return inputs, not posted.outputs or output_root(header, posted.outputs) == posted.claim.output_root

    def _claimant(self, plan: Plan) -> L1Client:
        return self.poor if plan.fault == "poor" else self.claimants[plan.claimant]

    def group(self, plan: Plan) -> Group:
        plan_fits = min(len(plan.forms), 2**256 - plan.first_nonce)
        claims = tuple(self.claim(plan, at) for at in range(plan_fits))
        signer = self._claimant(plan)
        ids = [signer.claim_id(one.claim) for one in claims]
        digest = ids[0] if len(ids) == 1 else group_digest(ids, signer.domain)
        if plan.fault == "signature":
            digest = bytes([digest[0] ^ 1]) + digest[1:]
        return Group(claims, signer._key().sign(digest))

    def expected(self, groups: Sequence[tuple[Plan, Group]], batch: int) -> list[Event]:
        """What L1 must log of these groups, which it is sent in one batch."""
        reasons = {"expired": "ClaimExpired", "unknown": "UnknownModel", "poor": "InsufficientBalance"}
        found: list[Event] = []
        first = 0
        for plan, group in groups:
            claims = [one.claim for one in group.claims]
            free = [(one.claimant, one.nonce) not in self.used for one in claims]
            reason = reasons.get(plan.fault, "")
            if plan.fault == "unknown" and claims[-1].model_id != UNKNOWN:
                reason = ""
            if claims[-1].input_root == MISSING:
                reason = "InputMissing"
            if reason in ("", "InsufficientBalance") and not any(free):
                reason = "NonceUsed"
            reason = reason or ("BadSignature" if plan.fault == "signature" else "")
            if reason:
                found.append(GroupRefused(batch, first, claims[0].claimant, claims[0].nonce, len(claims), reason))
            else:
                row = first if len(claims) > 1 else None
                for at, (one, fresh) in enumerate(zip(group.claims, free, strict=True)):
                    name = self.poster.claim_id(one.claim)
                    if fresh:
                        posted = ClaimPosted(batch, first + at, name, one.claim, one.inputs, one.outputs, row)
                        found.append(posted)
                        self.used.add((one.claim.claimant, one.claim.nonce))
                    else:
                        found.append(ClaimSkipped(batch, first + at, name, "NonceUsed"))
            first += len(claims)
        return found


def batch_of(receipt: Receipt) -> tuple[BatchPosted, Batch]:
    """The batch that a transaction posted, as L1 says it and as it follows from what Python reads in the logs."""
    posted = receipt.one(BatchPosted)
    claims: list[bytes | None] = [None] * posted.count
    for event in receipt.events:
        if isinstance(event, ClaimPosted):
            claims[event.index] = event.claim_id
    return posted, Batch(tuple(claims))  # type: ignore[arg-type]
