"""Openings from the provers that publish their traces, for a reveal by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.errors import ClientError, CommitmentError
from rollup.service.fetch import get_exactly
from rollup.types import LEAF_BYTES, Gindex, Root

SECONDS = 20.0
"""Of one question; a prover may have to run the model again first."""


@dataclass(frozen=True)
class Provers:
    """Base URLs of provers, asked in this order. Nothing is believed: whoever asks compares the hash."""

    urls: Sequence[str]
    seconds: float = SECONDS

    def children(self, root: Root, gindex: Gindex, levels: int) -> list[Root]:
        """Raises CommitmentError if no prover gives exactly 2^levels nodes."""
        data = self._first(root, f"children/{int(gindex)}?levels={levels}", 32 << levels)
        return [Root(data[at : at + 32]) for at in range(0, len(data), 32)]

    def leaf(self, root: Root, leaf: int) -> bytes:
        return self._first(root, f"leaves/{leaf}", LEAF_BYTES)

    def _first(self, root: Root, what: str, length: int) -> bytes:
        why = ["no prover is configured"] if not self.urls else []
        for url in self.urls:
            try:
                return get_exactly(f"{url.rstrip('/')}/v1/trace/0x{root.hex()}/{what}", length, self.seconds)
            except ClientError as error:
                why.append(str(error))
        raise CommitmentError(
            f"no prover gives the opening of trace 0x{root.hex()[:16]}... ({'; '.join(why)}); give it yourself"
        )
