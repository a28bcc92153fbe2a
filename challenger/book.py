"""What L1 has said so far, read from its events alone: a player that starts again reads it again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from challenger.strategy import Preimages
from rollup.batch import Batch, Inclusion
from rollup.claim import NO_ROOT, Claim, ClaimId
from rollup.encoding import Header, TensorType, decode_header
from rollup.errors import ClaimError, EncodingError
from rollup.game.position import relative
from rollup.l1.client import L1Client
from rollup.l1.events import (
    BatchPosted,
    Challenged,
    ChunksJoined,
    ChunkUploaded,
    ClaimPosted,
    ClaimSkipped,
    Convicted,
    LeafRevealed,
    Logged,
    ModelRegistered,
    Revealed,
    Selected,
    TensorsAssembled,
    TraceRootSet,
)
from rollup.merkle import depth_of
from rollup.types import LEAF_BYTES, Gindex, ModelId, Root, Timestamp


@dataclass
class Book:
    """``next_block``: the first block that was not read to its end.

    A book that is to know everything begins no later than the deployment: nodes and uploads name no claim, and may have
    been opened long before the claim that they serve.
    """

    next_block: int = 0
    headers: dict[ModelId, Header] = field(default_factory=dict)
    claims: dict[ClaimId, ClaimPosted] = field(default_factory=dict)
    batches: dict[int, list[ClaimId | None]] = field(default_factory=dict)
    posted_at: dict[int, Timestamp] = field(default_factory=dict)
    games: dict[ClaimId, list[Challenged]] = field(default_factory=dict)
    trace_roots: dict[ClaimId, Root] = field(default_factory=dict)
    convicted: dict[ClaimId, Convicted] = field(default_factory=dict)
    preimages: Preimages = field(default_factory=Preimages)
    _noted: tuple[int, int] = (-1, -1)
    _uploads: dict[tuple[Root, int], bytes | tuple[Root, Root]] = field(default_factory=dict)
    _assembled: dict[tuple[ModelId, bool, Root], tuple[Root, ...]] = field(default_factory=dict)

    def read(self, client: L1Client) -> list[Logged]:
        """Read the events up to the latest block; returns those that are new.

        Each is noted once: if the chain stops answering in the middle, the next call goes on where this one stopped.
        """
        last = client.chain.height()
        news = [one for one in client.events(self.next_block, last) if (one.block, one.index) > self._noted]
        for logged in news:
            self._note(client, logged)
            self._noted = (logged.block, logged.index)
        self.next_block = max(self.next_block, last + 1)
        return news

    def _note(self, client: L1Client, logged: Logged) -> None:
        match logged.event:
            case ModelRegistered(model_id, header):
                # A header that can't be read is that of a program that nobody can hold.
                with suppress(EncodingError):
                    self.headers[model_id] = decode_header(header)
            case ClaimPosted() as posted:
                self.claims[posted.claim_id] = posted
                self.batches.setdefault(posted.batch, []).append(posted.claim_id)
                if posted.claim.trace_root != NO_ROOT:
                    self.trace_roots[posted.claim_id] = posted.claim.trace_root
            case ClaimSkipped() as skipped:
                self.batches.setdefault(skipped.batch, []).append(None)
            case BatchPosted() as batch:
                self.posted_at[batch.batch] = batch.posted_at
            case Challenged() as challenged:
                self.games.setdefault(challenged.claim_id, []).append(challenged)
            case TraceRootSet(claim_id, trace_root):
                self.trace_roots[claim_id] = trace_root
            case Revealed(_, children):
                self.preimages.add_children(children)
            case LeafRevealed(_, data):
                self.preimages.add_leaf(data)
            case Selected():
                self._note_path(client, logged.transaction)
            case Convicted() as convicted:
                self.convicted[convicted.claim_id] = convicted
            case ChunkUploaded(root, chunk):
                self._uploads[root, len(chunk)] = chunk
            case ChunksJoined(root, byte_length, left, right):
                self._uploads[root, byte_length] = (left, right)
            case TensorsAssembled(model_id, is_output, root, tensors):
                self._assembled[model_id, is_output, root] = tensors

    def _note_path(self, client: L1Client, transaction: bytes) -> None:
        """A selection may pass levels that were never revealed; its calldata holds their siblings."""
        selected = client.selected_path(transaction)
        if selected is not None:
            _, position, node, siblings = selected
            above = Gindex(position >> len(siblings))
            if depth_of(position) >= len(siblings):
                self.preimages.add_path(node, relative(position, above), siblings)

    def inclusion(self, claim_id: ClaimId) -> Inclusion:
        """Where the claim stands, and the proof of it."""
        posted = self.claims[claim_id]
        return Inclusion(posted.batch, posted.index, Batch(tuple(self.batches[posted.batch])).siblings(posted.index))

    def trace_root(self, claim_id: ClaimId) -> Root:
        """The claim's trace root; NO_ROOT while it is not set."""
        return self.trace_roots.get(claim_id, NO_ROOT)

    def data_of(self, claim_id: ClaimId) -> tuple[bytes, bytes]:
        """The claim's input and output bytes, whether they were posted with it or uploaded before."""
        posted = self.claims[claim_id]
        header = self.headers.get(posted.claim.model_id)
        if header is None:
            raise ClaimError(
                f"model 0x{posted.claim.model_id.hex()} has no readable header in this book; read from an earlier block"
            )
        inputs = posted.inputs or self._uploaded(posted.claim, False, posted.claim.input_root, list(header.inputs))
        types = [tensor for _, tensor in header.outputs]
        return inputs, posted.outputs or self._uploaded(posted.claim, True, posted.claim.output_root, types)

    def _uploaded(self, claim: Claim, is_output: bool, root: Root, types: list[TensorType]) -> bytes:
        if sum(tensor.bytes for tensor in types) == 0:
            return b""
        tensors = self._assembled.get((claim.model_id, is_output, root))
        if tensors is None:
            raise ClaimError(
                f"the bytes behind root {root.hex()[:16]}... were posted before this book begins; "
                "read from an earlier block"
            )
        return b"".join(self._joined(tensor, kind.bytes) for tensor, kind in zip(tensors, types, strict=True))

    def _joined(self, root: Root, length: int) -> bytes:
        part = self._uploads.get((root, length))
        if part is None:
            raise ClaimError(
                f"upload {root.hex()[:16]}... of {length} bytes lies before this book begins; "
                "read from an earlier block"
            )
        if isinstance(part, bytes):
            return part
        # The left part fills 2^h leaves and the right one is no longer: the length alone says where they meet.
        left = LEAF_BYTES << (((length - 1) // LEAF_BYTES).bit_length() - 1)
        return self._joined(part[0], left) + self._joined(part[1], length - left)
