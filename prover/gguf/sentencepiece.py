"""SentencePiece's BPE: pieces with scores, merged by the best score, with bytes for what no piece covers.

The two neighbours whose joined piece has the highest score are merged first, the leftmost of equals, until no joined piece is known.
Spaces stand as U+2581. User-defined pieces are cut out first and never merged.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from prover.gguf.fields import Fields
from rollup.errors import LoweringError

SPACE = "\u2581"
"""Stands for a space inside of pieces."""
NORMAL, CONTROL, USER, UNUSED, BYTE = 1, 3, 4, 5, 6
"""Token types of the format."""

_FOREIGN = ("tokenizer.ggml.precompiled_charsmap", "tokenizer.ggml.remove_extra_whitespaces")
"""Keys that say that a text is normalised before it is cut."""


@dataclass(frozen=True)
class SentencePiece:
    """``tokens`` of the file at ``path``, their ``scores`` and ``kinds``.

    ``prefixed``: a space is put in front of a text, and after every special token; ``greedy``: control tokens that swallow the white
    space after them.
    """

    path: Path
    tokens: Sequence[str]
    scores: np.ndarray[Any, np.dtype[Any]]
    kinds: np.ndarray[Any, np.dtype[Any]]
    prefixed: bool
    greedy: frozenset[str] = frozenset()
    _ids: dict[str, int] = field(init=False, repr=False)
    _bytes: dict[int, int] = field(init=False, repr=False)
    _control: re.Pattern[str] | None = field(init=False, repr=False)
    _user: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kinds = self.kinds.tolist()
        ids = {token: n for n, token in enumerate(self.tokens) if kinds[n] in (NORMAL, USER, UNUSED)}
        known = {f"<0x{byte:02X}>": byte for byte in range(256)}
        found = {known[token]: n for n, token in enumerate(self.tokens) if kinds[n] == BYTE and token in known}
        object.__setattr__(self, "_ids", ids)
        object.__setattr__(self, "_bytes", found)
        object.__setattr__(self, "_control", _any(self._of(CONTROL)))
        object.__setattr__(self, "_user", _any(self._of(USER)))

    def _of(self, kind: int) -> list[str]:
        return [self.tokens[n] for n in np.flatnonzero(self.kinds == kind).tolist()]

    def encode(self, text: str, special: bool) -> list[int]:
        """Ids of a text; control tokens in it are cut out only if ``special``. Raises LoweringError for a byte without a token."""
        ids: list[int] = []
        control = {self.tokens[n]: n for n in np.flatnonzero(self.kinds == CONTROL).tolist()} if special else {}
        for part, token in _cut(text, self._control if special else None, self.greedy):
            if part:
                ids += self._words(f" {part}" if self.prefixed else part)
            if token:
                ids.append(control[token])
        return ids

    def _words(self, text: str) -> list[int]:
        ids: list[int] = []
        for part, token in _cut(text, self._user):
            for piece in self._pieces(part.replace(" ", SPACE)):
                ids += [self._ids[piece]] if piece in self._ids else self._spelled(piece)
            if token:
                ids.append(self._ids[token])
        return ids

    def _spelled(self, piece: str) -> list[int]:
        data = piece.encode()
        missing = sorted({byte for byte in data if byte not in self._bytes})
        if missing:
            names = ", ".join(f"0x{byte:02x}" for byte in missing)
            raise LoweringError(
                f"{self.path}: the vocabulary has no token for the byte {names} of the text; leave it out"
            )
        return [self._bytes[byte] for byte in data]

    def _pieces(self, text: str) -> list[str]:
        """``text`` in merged pieces; a character that no piece covers stays alone."""
        parts: list[str] = list(text)
        after = [*range(1, len(parts)), -1]
        before = [-1, *range(len(parts) - 1)]
        queue: list[tuple[float, int, int, str]] = []
        split: dict[str, tuple[str, str]] = {}

        def offer(left: int, right: int) -> None:
            joined = parts[left] + parts[right]
            number = self._ids.get(joined)
            if number is not None:
                heapq.heappush(queue, (-float(self.scores[number]), left, right, joined))
                if self.kinds[number] == UNUSED:
                    split[joined] = (parts[left], parts[right])

        for left in range(len(parts) - 1):
            offer(left, left + 1)
        while queue:
            _, left, right, joined = heapq.heappop(queue)
            if not parts[left] or not parts[right] or parts[left] + parts[right] != joined:
                continue  # one of the two was merged meanwhile
            parts[left], parts[right] = joined, ""
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
                offer(left, after[right])
            if before[left] >= 0:
                offer(before[left], left)
        return [piece for part in parts if part for piece in _unmerged(part, split)]

    def decode(self, ids: Sequence[int], special: bool) -> str:
        """The text of ids inside the vocabulary; control tokens are left out unless ``special``."""
        data = bytearray()
        for number in ids:
            token, kind = self.tokens[number], int(self.kinds[number])
            if kind == BYTE and re.fullmatch("<0x[0-9A-F]{2}>", token):
                data.append(int(token[3:5], 16))
            elif kind != CONTROL:
                data += token.replace(SPACE, " ").encode()
            elif special:
                data += token.encode()
        text = data.decode(errors="replace")
        return text[1:] if self.prefixed and text.startswith(" ") else text


def _any(tokens: Sequence[str]) -> re.Pattern[str] | None:
    """One of the tokens, the longest that stands there."""
    ordered = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _cut(text: str, pattern: re.Pattern[str] | None, greedy: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """(what stands before a token, the token) and at the end (what remains, nothing)."""
    at = 0
    while pattern and (match := pattern.search(text, at)):
        yield text[at : match.start()], match.group()
        at = match.end()
        while match.group() in greedy and text[at : at + 1].isspace():
            at += 1
    yield text[at:], ""


def _unmerged(piece: str, split: dict[str, tuple[str, str]]) -> Iterator[str]:
    """An unused piece helps to build others, and is taken apart where it remains."""
    pending = [piece]
    while pending:
        part = pending.pop()
        if part in split:
            pending += reversed(split[part])
        else:
            yield part


def read_sentencepiece(fields: Fields, tokens: Sequence[str], architecture: str) -> SentencePiece:
    """From a file's metadata; raises LoweringError, naming the key, for a vocabulary that is not sound."""
    for key in _FOREIGN:
        if key in fields.metadata and fields.metadata[key] is not False:
            raise LoweringError(
                f"{fields.path}: {key!r} normalises texts, which is not supported; pass token ids instead"
            )
    scores, kinds = (fields.metadata.get(f"tokenizer.ggml.{name}") for name in ("scores", "token_type"))
    if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f" or len(scores) != len(tokens):
        raise LoweringError(
            f"{fields.path}: 'tokenizer.ggml.scores' is not one number for each of the {len(tokens)} tokens; fetch the file again"
        )
    if np.isnan(scores).any():
        raise LoweringError(
            f"{fields.path}: 'tokenizer.ggml.scores' has an element that is no number; fetch the file again"
        )
    if not isinstance(kinds, np.ndarray) or kinds.dtype.kind not in "iu" or len(kinds) != len(tokens):
        raise LoweringError(
            f"{fields.path}: 'tokenizer.ggml.token_type' is not one integer for each of the {len(tokens)} tokens; fetch the file again"
        )
    prefixed = fields.flag("tokenizer.ggml.add_space_prefix", default=True)
    greedy: frozenset[str] = frozenset()
    if architecture == "phi3":
        control = (tokens[n] for n in np.flatnonzero(kinds == CONTROL).tolist())
        greedy = frozenset(control) - {"<unk>", "<s>", "<|endoftext|>"}
    return SentencePiece(fields.path, tokens, scores, kinds, prefixed, greedy)
