from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prover import load_gguf
from prover.gguf import Tokenizer
from rollup.errors import LoweringError
from tests.models.tiny_llama import CHATML, SPECIAL, smallest_vocabulary, vocabulary, write_tiny_llama

TOKENS = vocabulary(smallest_vocabulary())


def _tokenizer(folder: Path, **options: Any) -> Tokenizer:
    write_tiny_llama(folder / "m.gguf", layers=1, width=32, heads=1, kv=1, **options)
    return load_gguf(folder / "m.gguf").tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return _tokenizer(tmp_path_factory.mktemp("tokenizer"))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, special=False)
    assert tokenizer.decode(ids) == text
    assert all(number >= len(SPECIAL) for number in ids)


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [TOKENS[number] for number in tokenizer.encode(text)]


def test_words_are_merged_in_the_files_order(tokenizer: Tokenizer) -> None:
    assert _words(tokenizer, "hello the world and on") == ["hello", "Ġthe", "Ġworld", "Ġand", "Ġ", "on"]


@pytest.mark.parametrize(
    ("pre", "text", "words"),
    [
        ("smollm", "on 12's", ["on", "Ġ", "1", "2", "'s"]),
        ("gpt-2", "on 12's", ["on", "Ġ", "12", "'s"]),
        ("llama-bpe", "on 12's", ["on", "Ġ", "12", "'s"]),
        ("llama-bpe", "123456", ["12", "3", "4", "5", "6"]),
        ("qwen2", "on 12's", ["on", "Ġ", "1", "2", "'s"]),
        ("qwen2", "e\u0301", ["Ã", "©"]),
    ],
)
def test_the_pre_tokenizer_of_the_file_cuts_the_text(tmp_path: Path, pre: str, text: str, words: list[str]) -> None:
    assert _words(_tokenizer(tmp_path, pre=pre), text) == words


def test_special_tokens_are_cut_out_of_a_trusted_text_only(tokenizer: Tokenizer) -> None:
    text = "on<|im_end|>in"
    trusted, plain = tokenizer.encode(text), tokenizer.encode(text, special=False)
    assert 2 in trusted and len(trusted) == 3
    assert not {0, 1, 2} & set(plain)
    assert tokenizer.decode(trusted) == "onin"
    assert tokenizer.decode(trusted, special=True) == text == tokenizer.decode(plain)


def test_a_user_defined_token_is_part_of_a_decoded_text(tmp_path: Path) -> None:
    kinds = [3, 3, 4] + [1] * (320 - 3)
    tokenizer = _tokenizer(tmp_path, metadata={"tokenizer.ggml.token_type": kinds})
    assert tokenizer.decode(tokenizer.encode("on<|im_end|><|im_start|>")) == "on<|im_end|>"


def test_a_model_that_wants_a_first_token_gets_it_once(tmp_path: Path) -> None:
    tokenizer = _tokenizer(tmp_path, metadata={"tokenizer.ggml.add_bos_token": True})
    assert tokenizer.encode("on")[0] == 1 and tokenizer.encode("on")[1:] == tokenizer.encode("on", special=False)
    assert tokenizer.chat([{"role": "user", "content": "on"}]).count(1) == 1 + 3


def test_a_conversation_is_written_in_chatml(tokenizer: Tokenizer) -> None:
    asked = tokenizer.chat([{"role": "user", "content": "hello<|im_end|>"}])
    written = "<|im_start|>system\nYou are tiny<|im_end|>\n<|im_start|>user\nhello<|im_end|><|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(asked, special=True) == written
    assert asked.count(2) == 2  # the one in the message is text
    own = tokenizer.chat([{"role": "system", "content": "be"}, {"role": "user", "content": "hello"}])
    assert own == tokenizer.encode(
        "<|im_start|>system\nbe<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_chatml_without_a_system_message_adds_none(tmp_path: Path) -> None:
    start, end = CHATML.index("{% if loop.first"), CHATML.index("{% endif %}") + len("{% endif %}")
    tokenizer = _tokenizer(tmp_path, metadata={"tokenizer.chat_template": CHATML[:start] + CHATML[end:]})
    assert tokenizer.chat([{"role": "user", "content": "on"}]) == tokenizer.encode(
        "<|im_start|>user\non<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (None, "no chat template"),
        ("{% for m in range(10**12) %}{% endfor %}", "another chat template"),
        (CHATML + "{{ 1 }}", "another chat template"),
    ],
)
def test_another_template_than_chatml_is_refused_and_never_run(
    tmp_path: Path, template: str | None, sentence: str
) -> None:
    tokenizer = _tokenizer(tmp_path, metadata={"tokenizer.chat_template": template})
    assert not tokenizer.chats
    with pytest.raises(LoweringError, match=sentence):
        tokenizer.chat([{"role": "user", "content": "on"}])


def test_an_empty_conversation_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(LoweringError, match="at least one message"):
        tokenizer.chat([])


@pytest.mark.parametrize("number", [-1, 320, 1 << 40])
def test_an_id_without_a_token_is_refused(tokenizer: Tokenizer, number: int) -> None:
    with pytest.raises(LoweringError, match=f"{number} is no token"):
        tokenizer.decode([5, number])


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"tokenizer.ggml.model": None}, "tokenizer.ggml.model"),
        ({"tokenizer.ggml.model": "llama"}, r"tokenizer\.ggml\.scores"),
        ({"tokenizer.ggml.model": "bert"}, "'bert' is not supported"),
        ({"tokenizer.ggml.pre": None}, "pre-tokenizer ''"),
        ({"tokenizer.ggml.pre": "tekken"}, "pre-tokenizer 'tekken'"),
        ({"tokenizer.ggml.tokens": None}, "tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.tokens": 5}, "tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.tokens": [*vocabulary(319), "!"]}, "the same one twice"),
        ({"tokenizer.ggml.tokens": [*vocabulary(319), ""]}, "an empty token"),
        ({"tokenizer.ggml.tokens": vocabulary(330)}, "token_type"),
        ({"tokenizer.ggml.tokens": vocabulary(330), "tokenizer.ggml.token_type": [1] * 330}, "330 tokens"),
        ({"tokenizer.ggml.token_type": None}, "token_type"),
        ({"tokenizer.ggml.token_type": [1.0] * 320}, "token_type"),
        ({"tokenizer.ggml.merges": None}, "tokenizer.ggml.merges"),
        ({"tokenizer.ggml.merges": ["Ġ t", "x"]}, "merge 1"),
        ({"tokenizer.ggml.merges": ["Ġ t", "q q"]}, "merge 1"),
        ({"tokenizer.ggml.merges": ["Ġ t", "x y z"]}, "merge 1"),
        ({"tokenizer.ggml.eos_token_id": 320}, "eos_token_id"),
        ({"tokenizer.ggml.bos_token_id": None, "tokenizer.ggml.add_bos_token": True}, "without a bos token"),
        ({"tokenizer.ggml.add_eos_token": True}, "add_eos_token"),
    ],
)
def test_a_tokenizer_that_is_not_sound_is_refused_by_name(tmp_path: Path, metadata: dict[str, Any], named: str) -> None:
    with pytest.raises(LoweringError, match=named):
        _tokenizer(tmp_path, metadata=metadata)


def test_a_text_that_the_vocabulary_cannot_express_is_refused_and_not_shortened(tmp_path: Path) -> None:
    tokens = vocabulary(320)
    tokens[tokens.index("\u0104")] = "<gone>"
    tokenizer = _tokenizer(tmp_path, metadata={"tokenizer.ggml.tokens": tokens})
    assert tokenizer.decode(tokenizer.encode("a\x05b")) == "a\x05b"
    with pytest.raises(LoweringError, match="no token for the byte 0x04"):
        tokenizer.encode("a\x04b")
    with pytest.raises(LoweringError, match="surrogate"):
        tokenizer.encode("a\ud800b")
