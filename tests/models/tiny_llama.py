"""A tiny Llama in a GGUF file: random weights from a seed, every storage kind, a byte-level BPE tokenizer with ChatML's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = (
    ("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("Ġ", "a"), ("o", "n"), ("e", "r"), ("Ġa", "n"), ("Ġan", "d"), ("l", "l"),
    ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("o", "r"), ("l", "d"), ("Ġw", "or"), ("Ġwor", "ld"), ("1", "2"), ("'", "s"),
)  # fmt: skip
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are tiny<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_characters() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(rest)) for byte in range(256)]


def vocabulary(size: int) -> list[str]:
    """Special tokens, bytes, merged tokens, then unused ones up to ``size`` (at least ``smallest_vocabulary()``)."""
    tokens = [*SPECIAL, *byte_characters(), *(left + right for left, right in MERGES)]
    assert size >= len(tokens), f"the tiny tokenizer alone has {len(tokens)} tokens"
    return [*tokens, *(f"<unused{number}>" for number in range(size - len(tokens)))]


def smallest_vocabulary() -> int:
    return len(SPECIAL) + 256 + len(MERGES)


def tiny_weights(
    layers: int, width: int, hidden: int, heads: int, kv: int, head: int, vocab: int, tied: bool, seed: int
) -> dict[str, np.ndarray]:
    """Random weights by the file's names, [outputs, inputs], in sizes that keep activations near one."""
    random = np.random.default_rng(seed)

    def matrix(outputs: int, inputs: int, gain: float = 1.0) -> np.ndarray:
        return (gain * random.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)

    def scales() -> np.ndarray:
        return random.uniform(0.5, 1.5, width).astype(np.float32)

    weights = {"token_embd.weight": (0.3 * random.standard_normal((vocab, width))).astype(np.float32)}
    for number in range(layers):
        at = f"blk.{number}"
        weights |= {
            f"{at}.attn_norm.weight": scales(),
            f"{at}.attn_q.weight": matrix(heads * head, width, 2.0),
            f"{at}.attn_k.weight": matrix(kv * head, width, 2.0),
            f"{at}.attn_v.weight": matrix(kv * head, width),
            f"{at}.attn_output.weight": matrix(width, heads * head),
            f"{at}.ffn_norm.weight": scales(),
            f"{at}.ffn_gate.weight": matrix(hidden, width),
            f"{at}.ffn_up.weight": matrix(hidden, width),
            f"{at}.ffn_down.weight": matrix(width, hidden),
        }
    weights["output_norm.weight"] = scales()
    if not tied:
        weights["output.weight"] = matrix(vocab, width, 2.0)
    return weights


def write_tiny_llama(
    path: str | Path,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    kv: int = 2,
    vocab: int = 320,
    seed: int = 0,
    *,
    hidden: int | None = None,
    head: int | None = None,
    tied: bool = True,
    kind: Kind = Kind.F32,
    pre: str = "smollm",
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    drop: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Write the file and give back its weights as the file holds them (rounded to ``kind``), float32, by name.

    ``kind``: storage of the matrices; norms stay float32. ``metadata``: further keys, or other values (None leaves a key out);
    ``tensors``: further tensors, or others; ``drop``: names of those that the file lacks.
    """
    head = head or width // heads
    weights = tiny_weights(layers, width, hidden or 2 * width, heads, kv, head, vocab, tied, seed) | dict(tensors or {})
    given: dict[str, Any] = {
        "general.name": "tiny",
        "llama.block_count": layers,
        "llama.context_length": 512,
        "llama.embedding_length": width,
        "llama.feed_forward_length": hidden or 2 * width,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv,
        "llama.attention.key_length": head,
        "llama.attention.value_length": head,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10_000.0,
        "llama.rope.dimension_count": head,
        "llama.vocab_size": vocab,
    } | byte_level_tokenizer(vocab, pre)
    held = {name: array for name, array in weights.items() if name not in drop}
    return write_gguf(path, "llama", given | dict(metadata or {}), held, kind)


def byte_level_tokenizer(vocab: int, pre: str) -> dict[str, Any]:
    """The metadata of a byte-level tokenizer with ChatML's tokens."""
    tokens = vocabulary(vocab)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL)
        + [5 if t.startswith("<unused") else 1 for t in tokens[len(SPECIAL) :]],
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in MERGES],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML,
    }


def write_gguf(
    path: str | Path,
    architecture: str,
    metadata: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    kind: Kind = Kind.F32,
) -> dict[str, np.ndarray]:
    """Write a file, matrices as ``kind``, and give back its weights as it holds them. A value None leaves a key out."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        if value is not None:
            _add(writer, key, value)
    stored = {}
    for name, array in weights.items():
        chosen = kind if array.ndim == 2 else Kind.F32
        data = gguf.quantize(array, chosen)
        writer.add_tensor(name, data, raw_dtype=chosen)
        stored[name] = np.asarray(gguf.dequantize(data, chosen), dtype=np.float32).reshape(array.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stored


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
