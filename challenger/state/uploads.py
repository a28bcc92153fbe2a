"""Tensors that were uploaded to L1 in chunks: where their bytes are, and the bytes themselves as far as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cachetools import LRUCache

from rollup.errors import ClaimError
from rollup.form.encoding import TensorType
from rollup.l1.events import ChunkUploaded, Logged
from rollup.types import LEAF_BYTES, ModelId, Root

HELD_BYTES = 256 << 20
"""Most bytes of chunks that are held; others are read from L1 again when a claim needs them."""

Key = tuple[Root, int]
"""A root and the length in bytes of what is below it."""


@dataclass
class Uploads:
    """Content that is true anywhere, so that no reorganisation takes it back. Months of it are no more than names."""

    held_bytes: int = HELD_BYTES
    blocks: dict[Key, int] = field(default_factory=dict)
    joins: dict[Key, tuple[Root, Root]] = field(default_factory=dict)
    assembled: dict[tuple[ModelId, bool, Root], tuple[Root, ...]] = field(default_factory=dict)
    _chunks: LRUCache[Key, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._chunks = LRUCache(self.held_bytes, len)

    def add(self, root: Root, chunk: bytes, block: int) -> None:
        """A chunk, and the block that it was uploaded in."""
        self.blocks[root, len(chunk)] = block
        self._hold(root, chunk)

    def tensors(
        self,
        model_id: ModelId,
        is_output: bool,
        root: Root,
        types: Sequence[TensorType],
        read: Callable[[int], Sequence[Logged]],
    ) -> bytes:
        """The bytes behind an input or output root; ``read`` gives the events of a block. Raises ClaimError for what was
        posted before the block from which L1 was read.
        """
        if sum(kind.bytes for kind in types) == 0:
            return b""
        tensors = self.assembled.get((model_id, is_output, root))
        if tensors is None:
            raise ClaimError(
                f"the bytes behind root {root.hex()[:16]}... were posted before the block from which L1 was read; "
                "read from an earlier block"
            )
        return b"".join(self._joined(tensor, kind.bytes, read) for tensor, kind in zip(tensors, types, strict=True))

    def _joined(self, root: Root, length: int, read: Callable[[int], Sequence[Logged]]) -> bytes:
        if (root, length) in self.blocks:
            return self._chunk(root, length, read)
        if (root, length) not in self.joins:
            raise ClaimError(
                f"upload {root.hex()[:16]}... of {length} bytes lies before the block from which L1 was read; "
                "read from an earlier block"
            )
        # The left part fills 2^h leaves and the right one is no longer: the length alone says where they meet.
        left = LEAF_BYTES << (((length - 1) // LEAF_BYTES).bit_length() - 1)
        parts = self.joins[root, length]
        return self._joined(parts[0], left, read) + self._joined(parts[1], length - left, read)

    def _chunk(self, root: Root, length: int, read: Callable[[int], Sequence[Logged]]) -> bytes:
        held = self._chunks.get((root, length))
        if held is not None:
            return held
        for logged in read(self.blocks[root, length]):
            match logged.event:
                case ChunkUploaded(found, chunk) if (found, len(chunk)) == (root, length):
                    self._hold(root, chunk)
                    return chunk
        raise ClaimError(
            f"upload {root.hex()[:16]}... is no longer in the block where it was; look again when the chain has settled"
        )

    def _hold(self, root: Root, chunk: bytes) -> None:
        if len(chunk) <= self.held_bytes:
            self._chunks[root, len(chunk)] = chunk
