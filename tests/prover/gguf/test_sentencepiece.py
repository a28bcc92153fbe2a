from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prover import load_gguf
from prover.gguf import Tokenizer
from prover.gguf.sentencepiece import SentencePiece
from rollup.errors import LoweringError
from tests.prover.gguf.tiny_decoders import VOCABULARY, write_tiny

CONTROL = ("<pad>", "<eos>", "<bos>", "<unk>", "<|end|>")
USER = ("\n", "\n\n", "  ", "<b>")
PIECES = ("th", "he", "the", "\u2581the", "\u2581t", "aa", "aaa", "an", "nd", "and", "\u2581and", "ab", "bc", "abc")
LETTERS = tuple("\u2581abcdehnt.")


def _vocabulary(**changes: Any) -> dict[str, Any]:
    tokens = [*CONTROL, *USER, *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES, *LETTERS]
    kinds = [3] * len(CONTROL) + [4] * len(USER) + [6] * 256 + [1] * len(PIECES + LETTERS)
    scores = [0.0] * (len(tokens) - len(PIECES + LETTERS)) + [-float(n) for n in range(len(PIECES + LETTERS))]
    more = VOCABULARY - len(tokens)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [*tokens, *(f"<unused{n}>" for n in range(more))],
        "tokenizer.ggml.token_type": kinds + [3] * more,
        "tokenizer.ggml.scores": scores + [0.0] * more,
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": None,
    } | changes


def _tokenizer(folder: Path, name: str = "gemma3", **changes: Any) -> Tokenizer:
    write_tiny(folder / "m.gguf", name, whole=_vocabulary(**{f"tokenizer.ggml.{k}": v for k, v in changes.items()}))
    return load_gguf(folder / "m.gguf").tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return _tokenizer(tmp_path_factory.mktemp("pieces"))


def _words(tokenizer: Tokenizer, text: str, special: bool = False) -> list[str]:
    return [tokenizer._tokens[number] for number in tokenizer.encode(text, special=special)]


def _merged(text: str) -> list[str]:
    """SentencePiece's BPE as one would explain it: join the best pair, the leftmost of equals, until there is none."""
    parts = list(text.replace(" ", "\u2581"))
    while True:
        known = [(PIECES.index(a + b), n) for n, (a, b) in enumerate(pairwise(parts)) if a + b in PIECES]
        if not known:
            return parts
        _, n = min(known)
        parts[n : n + 2] = [parts[n] + parts[n + 1]]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abcdehnt ."))
def test_pieces_are_merged_by_score_from_the_left(tokenizer: Tokenizer, text: str) -> None:
    text = " ".join(text.split())
    assert _words(tokenizer, text) == _merged(text)


@settings(max_examples=200, deadline=None)
@given(st.text().filter(lambda text: "\u2581" not in text))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, special=False)
    assert tokenizer.decode(ids) == text
    assert all(number >= len(CONTROL) for number in ids)


def test_characters_without_a_piece_are_spelled_in_bytes(tokenizer: Tokenizer) -> None:
    assert _words(tokenizer, "a\u00e9") == ["a", "<0xC3>", "<0xA9>"]


def test_user_defined_pieces_are_cut_out_first_the_longest_of_them(tokenizer: Tokenizer) -> None:
    assert _words(tokenizer, "a\n\n\nthe  <b>") == ["a", "\n\n", "\n", "the", "  ", "<b>"]


def test_control_tokens_are_cut_out_of_a_trusted_text_only(tokenizer: Tokenizer) -> None:
    assert _words(tokenizer, "the<eos>an", special=True) == ["<bos>", "the", "<eos>", "an"]
    plain = tokenizer.encode("the<eos>an", special=False)
    assert 1 not in plain and tokenizer.decode(plain) == "the<eos>an"
    assert tokenizer.decode(tokenizer.encode("the<eos>an")) == "thean"


def test_a_space_is_put_in_front_where_the_file_says_so_and_where_it_says_nothing(tmp_path: Path) -> None:
    for value in (True, None):
        tokenizer = _tokenizer(tmp_path, add_space_prefix=value)
        assert _words(tokenizer, "the<eos>the", special=True) == ["<bos>", "\u2581the", "<eos>", "\u2581the"]
        assert tokenizer.decode(tokenizer.encode("the and")) == "the and"


def test_a_first_token_is_put_in_front_unless_the_file_says_no(tmp_path: Path) -> None:
    assert _tokenizer(tmp_path, add_bos_token=None).encode("an")[0] == 2
    assert _tokenizer(tmp_path, add_bos_token=False).encode("an")[0] != 2


def test_phi3s_control_tokens_swallow_the_white_space_after_them(tmp_path: Path) -> None:
    words = ["<|end|>", "an", "<unk>", "\n", "an"]
    assert _words(_tokenizer(tmp_path, "phi3", add_bos_token=False), "<|end|>\n an<unk>\nan", special=True) == words
    plain = _tokenizer(tmp_path, "gemma3", add_bos_token=False)
    assert _words(plain, "<|end|>\nan", special=True) == ["<|end|>", "\n", "an"]


def test_an_unused_piece_helps_to_build_others_and_is_taken_apart_where_it_remains(tmp_path: Path) -> None:
    vocabulary = _vocabulary()
    kinds = list(vocabulary["tokenizer.ggml.token_type"])
    kinds[vocabulary["tokenizer.ggml.tokens"].index("aa")] = 5
    tokenizer = _tokenizer(tmp_path, token_type=kinds)
    assert _words(tokenizer, "aa") == ["a", "a"]
    assert _words(tokenizer, "aaa") == ["aaa"]


def test_a_long_chain_of_unused_pieces_is_taken_apart(tmp_path: Path) -> None:
    pieces = ["a" * n for n in range(1, 3000)]
    tokens = ["<bos>", *pieces]
    scores, kinds = [float(n) for n in range(len(tokens))], [3, 1] + [5] * (len(pieces) - 1)
    pieces_of = SentencePiece(tmp_path / "m.gguf", tokens, np.array(scores), np.array(kinds), prefixed=False)
    assert pieces_of.encode("a" * 2900, special=False) == [1] * 2900


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scores": None}, "scores"),
        ({"scores": [0.0] * 3}, "scores"),
        ({"scores": [float("nan")] * VOCABULARY}, "scores"),
        ({"token_type": None}, "token_type"),
        ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces"),
        ({"model": "t5"}, "'t5' is not supported"),
        ({"bos_token_id": None}, "without a bos token"),
    ],
)
def test_a_vocabulary_that_is_not_sound_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(LoweringError, match=named):
        _tokenizer(tmp_path, **changes)


def test_a_text_that_the_vocabulary_cannot_express_is_refused(tmp_path: Path) -> None:
    kinds = [1 if kind == 6 else kind for kind in _vocabulary()["tokenizer.ggml.token_type"]]
    tokenizer = _tokenizer(tmp_path, token_type=kinds)
    assert tokenizer.decode(tokenizer.encode("the and")) == "the and"
    with pytest.raises(LoweringError, match=r"m\.gguf.*no token for the byte 0xa9, 0xc3"):
        tokenizer.encode("\u00e9")
    with pytest.raises(LoweringError, match="surrogate"):
        tokenizer.encode("\ud800")
