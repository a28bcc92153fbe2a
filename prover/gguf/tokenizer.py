"""The tokenizer in a GGUF file: byte-level BPE or SentencePiece, special tokens, and the ChatML form of a conversation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from tokenizers import AddedToken, Regex, decoders, pre_tokenizers
from tokenizers import Tokenizer as Bpe
from tokenizers.models import BPE

from prover.gguf.fields import Fields
from prover.gguf.reader import GgufFile
from prover.gguf.sentencepiece import SentencePiece, read_sentencepiece
from rollup.errors import LoweringError

CONTROL, USER = 3, 4
"""Token types of the format; control and user-defined tokens are cut out of a text before anything else."""


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def _bytes(split: bool) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)


_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer | None:
    """How a text is cut into words before BPE, by the name that the file gives it."""
    if name == "gpt-2":
        return _bytes(True)
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _bytes(True)])
    if name == "llama-bpe":
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_LLAMA3), "isolated"), _bytes(False)])
    if name == "qwen2":
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_QWEN2), "isolated"), _bytes(False)])
    return None


class Tokenizer:
    """Text to token ids and back. ``size``: entries of the vocabulary; ``bos``, ``eos``, ``pad``: ids, or None."""

    def __init__(self, file: GgufFile) -> None:
        """Raises LoweringError, naming the file and the key, for a tokenizer that is not sound or not of a supported kind."""
        self._path = file.path
        fields = Fields(file.path, file.metadata)
        model = fields.text("tokenizer.ggml.model")
        if model not in ("gpt2", "llama"):
            raise LoweringError(
                f"{file.path}: the tokenizer model {model!r} is not supported, only byte-level BPE ('gpt2') and SentencePiece's BPE "
                "('llama') are; pass token ids instead"
            )
        self._pre = fields.text("tokenizer.ggml.pre", default="")
        if model == "gpt2" and _pre_tokenizer(self._pre) is None:
            raise LoweringError(
                f"{file.path}: the pre-tokenizer {self._pre!r} is not supported (gpt-2, smollm, llama-bpe and qwen2 are); pass token ids "
                "instead"
            )
        self._tokens = fields.texts("tokenizer.ggml.tokens")
        self._ids = {token: number for number, token in enumerate(self._tokens)}
        if not self._tokens or len(self._ids) != len(self._tokens) or "" in self._ids:
            raise LoweringError(
                f"{file.path}: 'tokenizer.ggml.tokens' is empty, or has an empty token or the same one twice; fetch the file again"
            )
        self._pieces: SentencePiece | None = None
        self._merges: list[tuple[str, str]] = []
        if model == "llama":
            self._pieces = read_sentencepiece(fields, self._tokens, fields.text("general.architecture"))
        else:
            self._merges = _merges(fields, self._ids)
        self._special = _special(fields, self._tokens)
        # SentencePiece needs a byte's token only for what no piece covers, and says so itself.
        characters = _byte_characters() if model == "gpt2" else []
        self._missing = frozenset(byte for byte, token in enumerate(characters) if token not in self._ids)
        self.size = len(self._tokens)
        self.bos, self.eos, self.pad = (
            self._named(fields, f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "padding")
        )
        begins = model == "llama" or self._pre == "llama-bpe"
        self._begins = fields.flag("tokenizer.ggml.add_bos_token", default=begins)
        if self._begins and self.bos is None:
            raise LoweringError(
                f"{file.path}: 'tokenizer.ggml.add_bos_token' is set without a bos token; fetch the file again"
            )
        if fields.flag("tokenizer.ggml.add_eos_token", default=False):
            raise LoweringError(
                f"{file.path}: 'tokenizer.ggml.add_eos_token' is set, which a model that answers can't use"
            )
        self._template = fields.text("tokenizer.chat_template", default="")

    def _named(self, fields: Fields, key: str) -> int | None:
        return fields.integer(key, 0, self.size - 1) if key in fields.metadata else None

    def encode(self, text: str, special: bool = True) -> list[int]:
        """Token ids of a text, after the bos token where the model wants one. ``special=False``: what reads like a special token
        is plain text, and nothing is put in front, as a stranger's words inside a conversation need it.

        Raises LoweringError for a text that the vocabulary can't express.
        """
        # The published tokenizer of these models composes characters first.
        text = unicodedata.normalize("NFC", text) if self._pre == "qwen2" else text
        self._check(text)
        ids: list[int]
        if self._pieces is not None:
            ids = self._pieces.encode(text, special)
        else:
            ids = (self._with_special if special else self._plain).encode(text, add_special_tokens=False).ids
        return [*self.prefix, *ids] if special else ids

    @property
    def prefix(self) -> list[int]:
        """What stands in front of every text: the bos token where the model wants one."""
        return [self.bos] if self._begins and self.bos is not None else []

    def _check(self, text: str) -> None:
        """BPE leaves out what it has no token for; nobody should sign a claim about a text with holes."""
        try:
            missing = self._missing.intersection(text.encode())
        except UnicodeEncodeError as error:
            raise LoweringError(
                f"the text has half a surrogate pair at position {error.start}; give sound Unicode"
            ) from error
        if missing:
            names = ", ".join(f"0x{byte:02x}" for byte in sorted(missing))
            raise LoweringError(
                f"{self._path}: the vocabulary has no token for the byte {names} of the text; leave it out"
            )

    def decode(self, ids: Sequence[int], special: bool = False) -> str:
        """The text of token ids; special tokens are left out unless ``special``. Raises LoweringError for an id without a token."""
        numbers = [int(number) for number in ids]
        for number in numbers:
            if not 0 <= number < self.size:
                raise LoweringError(f"{number} is no token of {self._path}; ids lie from 0 to {self.size - 1}")
        if self._pieces is not None:
            return self._pieces.decode(numbers, special)
        return self._with_special.decode(numbers, skip_special_tokens=not special)

    def encode_rendered(self, text: str, guard: str) -> list[int]:
        """Token ids of a rendered chat template. ``guard``: a character that stands inside of whatever reads like a special token and
        is a stranger's word; it is taken out, and what it broke is plain text. The bos token is put in front where the model wants
        one and the template has none.

        Raises LoweringError for a text that the vocabulary can't express.
        """
        ids: list[int] = []
        at = 0
        for found in self._cut.finditer(text):
            ids += self._plain_ids(text[at : found.start()], guard)
            ids.append(self._ids[found.group()])
            at = found.end()
            if self._pieces is not None and found.group() in self._pieces.greedy:
                at += len(text[at:]) - len(text[at:].lstrip())
        ids += self._plain_ids(text[at:], guard)
        prefix = self.prefix
        return ids if ids[: len(prefix)] == prefix else [*prefix, *ids]

    def _plain_ids(self, text: str, guard: str) -> list[int]:
        return self.encode(text.replace(guard, ""), special=False) if text else []

    @property
    def special(self) -> tuple[str, ...]:
        """The texts of the tokens that a stranger's words must never become."""
        # SentencePiece cuts user-defined pieces out of plain text, too.
        kinds = (token for token in self._special if token.special or self._pieces is None)
        return tuple(token.content for token in kinds if len(token.content) > 1)

    @cached_property
    def _cut(self) -> re.Pattern[str]:
        longest = sorted(self.special, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest)) or "(?!)")

    @property
    def template(self) -> str:
        """The file's chat template, or nothing."""
        return self._template

    def token(self, number: int) -> str:
        """A token as the vocabulary writes it."""
        return self._tokens[number]

    def chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The prompt that asks for the assistant's next message, in the ChatML form.

        ``messages``: ``role`` and ``content`` each; the model's own system message is put in front of a conversation without one.
        Raises LoweringError if the model has no chat template, or another one than ChatML's.
        """
        default = self._system_message
        start, end = self._ids["<|im_start|>"], self._ids["<|im_end|>"]
        turns = [(message["role"], message["content"]) for message in messages]
        if not turns:
            raise LoweringError("a conversation needs at least one message; give one with role 'user'")
        if default is not None and turns[0][0] != "system":
            turns.insert(0, ("system", default))
        newline = self.encode("\n", special=False)
        ids = self.prefix
        for role, content in turns:
            ids += [start, *self.encode(f"{role}\n{content}", special=False), end, *newline]
        return [*ids, start, *self.encode("assistant\n", special=False)]

    @property
    def chats(self) -> bool:
        """Whether ``chat`` works: the file has ChatML's template and tokens."""
        return (
            _CHATML.fullmatch(self._template.replace("\\n", "\n")) is not None
            and {
                "<|im_start|>",
                "<|im_end|>",
            }
            <= self._ids.keys()
        )

    @property
    def _system_message(self) -> str | None:
        match = _CHATML.fullmatch(self._template.replace("\\n", "\n"))
        if match is None or not self.chats:
            kind = "another chat template than ChatML's" if self._template else "no chat template"
            raise LoweringError(f"{self._path}: the model has {kind}; write the prompt out and use encode")
        return match["system"]

    @cached_property
    def _plain(self) -> Bpe:
        return self._built(())

    @cached_property
    def _with_special(self) -> Bpe:
        return self._built(self._special)

    def _built(self, special: Sequence[AddedToken]) -> Bpe:
        try:
            built = Bpe(BPE(vocab=self._ids, merges=self._merges, ignore_merges=self._pre == "llama-bpe"))
        except Exception as error:  # the library raises bare exceptions
            raise LoweringError(
                f"{self._path}: the tokenizer's merges do not fit ({error}); fetch the file again"
            ) from error
        pre = _pre_tokenizer(self._pre)
        assert pre is not None
        built.pre_tokenizer = pre
        built.decoder = decoders.ByteLevel()
        built.add_special_tokens([token for token in special if token.special])
        built.add_tokens([token for token in special if not token.special])
        return built


def _merges(fields: Fields, ids: Mapping[str, int]) -> list[tuple[str, str]]:
    pairs = []
    for number, merge in enumerate(fields.texts("tokenizer.ggml.merges")):
        left, _, right = merge.partition(" ")
        if left not in ids or right not in ids or left + right not in ids:
            raise LoweringError(
                f"{fields.path}: merge {number} of 'tokenizer.ggml.merges' ({merge[:40]!r}) joins no two tokens to a third; "
                "fetch the file again"
            )
        pairs.append((left, right))
    return pairs


def _special(fields: Fields, tokens: Sequence[str]) -> tuple[AddedToken, ...]:
    """Control tokens (left out of a decoded text) and user-defined ones (part of it)."""
    kinds = fields.metadata.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, np.ndarray) or kinds.dtype.kind not in "iu" or len(kinds) != len(tokens):
        raise LoweringError(
            f"{fields.path}: 'tokenizer.ggml.token_type' is not one integer for each of the {len(tokens)} tokens; fetch the file again"
        )
    return tuple(
        AddedToken(tokens[number], special=bool(kinds[number] == CONTROL), normalized=False)
        for number in np.flatnonzero((kinds == CONTROL) | (kinds == USER)).tolist()
    )


_CHATML = re.compile(
    r"\{% for message in messages %\}"
    r"(?:\{% if loop\.first and messages\[0\]\['role'\] != 'system' %\}"
    r"\{\{ '<\|im_start\|>system\n(?P<system>[^'<>{}]*)<\|im_end\|>\n' \}\}\{% endif %\})?"
    r"\{\{ ?'<\|im_start\|>' \+ message\['role'\] \+ '\n' \+ message\['content'\] \+ '<\|im_end\|>' \+ '\n' ?\}\}"
    r"\{% endfor %\}"
    r"\{% if add_generation_prompt %\}\{\{ ?'<\|im_start\|>assistant\n' ?\}\}\{% endif %\}\s*"
)
"""The template of ChatML, with or without a system message of the model's own. It is recognised, never executed."""
